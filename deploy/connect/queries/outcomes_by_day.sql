-- How jobs ended, by day and queue; and how many have not.
select date_trunc('day', created_at) as day, queue, count(*) as jobs,
       count(*) filter (where phase = 'succeeded') as succeeded,
       count(*) filter (where phase = 'dead') as dead,
       count(*) filter (where phase = 'cancelled') as cancelled,
       count(*) filter (where phase = 'expired') as expired,
       count(*) filter (where ended_at is null) as open
from jobs
group by day, queue
order by day desc, queue;
