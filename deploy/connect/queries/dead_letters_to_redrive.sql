-- Dead letters of jobs that are still dead, the latest first, with what their last attempt said.
select l.at, l.job, l.function, l.attempts, l.reason, j.error_type, j.error_message, l.redrive
from dead_letters l join jobs j using (job, key)
where j.phase = 'dead' and l.settled is null
order by l.at desc;
