-- How long attempts ran, by function and hour: how many, median, 95th and 99th percentile, in ms.
select date_trunc('hour', ended_at) as hour, function, count(*) as attempts,
       percentile_cont(0.5)  within group (order by run_ms)::numeric(12, 1) as p50_ms,
       percentile_cont(0.95) within group (order by run_ms)::numeric(12, 1) as p95_ms,
       percentile_cont(0.99) within group (order by run_ms)::numeric(12, 1) as p99_ms
from attempts
where run_ms is not null
group by hour, function
order by hour desc, p99_ms desc;
