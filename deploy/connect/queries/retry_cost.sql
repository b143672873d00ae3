-- What failed attempts cost, by function: how many of all, the time that they ran, and the time that jobs waited for the
-- next attempt.
with tries as (
    select function, outcome, run_ms, ended_at,
           lead(offered_at) over (partition by job, key order by epoch) as next_at
    from attempts
)
select function, count(*) as attempts, count(*) filter (where outcome = 'failed') as failed,
       coalesce(sum(run_ms) filter (where outcome = 'failed'), 0) as failed_ms,
       round(100.0 * sum(run_ms) filter (where outcome = 'failed') / nullif(sum(run_ms), 0), 1) as percent_of_run_time,
       round(extract(epoch from coalesce(sum(next_at - ended_at) filter (where outcome = 'failed'), '0'::interval)), 1)
           as waited_s
from tries
group by function
having count(*) filter (where outcome = 'failed') > 0
order by failed_ms desc;
