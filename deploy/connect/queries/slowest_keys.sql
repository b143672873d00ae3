-- Keys whose jobs take longest from the request to the end: their own time, or that of others in front of them.
select key, count(*) as jobs,
       round(extract(epoch from avg(ended_at - created_at))::numeric, 3) as mean_s,
       round(extract(epoch from max(ended_at - created_at))::numeric, 3) as worst_s
from jobs
where ended_at is not null
group by key
order by mean_s desc
limit 20;
