-- Why attempts fail: by function and type of error, how often, how many jobs it ended, and the last words of it.
select a.function, a.error_type, count(*) as failures, count(distinct (a.job, a.key)) as jobs,
       count(distinct (a.job, a.key)) filter (where j.phase = 'dead') as dead,
       max(a.ended_at) as last_at,
       (array_agg(a.error_message order by a.ended_at desc nulls last))[1] as last_message
from attempts a join jobs j using (job, key)
where a.outcome in ('failed', 'lost')
group by a.function, a.error_type
order by failures desc;
