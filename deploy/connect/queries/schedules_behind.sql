-- Schedules that missed or skipped fires, or that should have fired by now and have not.
select schedule, state, fired, missed, skipped, dropped, last_fire_at, next_fire_at
from schedules
where missed + skipped + dropped > 0 or (state = 'active' and next_fire_at < now() - interval '1 minute')
order by missed + skipped + dropped desc;
