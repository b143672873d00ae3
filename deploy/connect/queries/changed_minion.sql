-- Jobs that more than one minion had: which, in order, and why each let go.
select job, key, function, count(distinct minion) as minions,
       string_agg(minion || ' ' || coalesce(outcome, 'has it'), ', ' order by epoch) as way
from attempts
where minion is not null
group by job, key, function
having count(distinct minion) > 1
order by minions desc, job
limit 100;
