-- The log of jobs as tables. Run with search_path at the schema that shall have them; may be run again at any time.
--
-- The sink writes two tables, one row for each record, keyed by the record's place in the log: facts and dead_letters.
-- Whatever is written again, after a crash or on purpose, meets its own key, so it changes nothing. Triggers keep jobs,
-- attempts and schedules from the facts that are new, in the transaction that brings them.
--
-- A trigger must never fail, or the sink stands still. So nothing here casts what it has not looked at.

-- Epoch ms as a time; null for what no calendar has.
create or replace function at_of(ms bigint) returns timestamptz
    language sql immutable parallel safe as
$$ select case when ms between 0 and 253402300799999 then to_timestamp(ms / 1000.0::double precision) end $$;

-- What each step did: the columns of the record (schemas/avro/Fact.avsc), its offset, and its time as one. Fields that a
-- later release adds are added by the sink.
create table if not exists facts (
    partition     integer not null,
    record_offset bigint  not null,
    fact          text    not null,
    job           text    not null,
    key           text    not null,
    at_ms         bigint  not null,
    phase         text,
    function      text,
    queue         text,
    attempt       integer not null default 0,
    epoch         bigint  not null default 0,
    created_at_ms bigint,
    next_at_ms    bigint,
    ended_at_ms   bigint,
    queued_ms     bigint,
    start_ms      bigint,
    run_ms        bigint,
    minion        text,
    session       text,
    relay         text,
    step          text,
    done          bigint,
    total         bigint,
    result        bytea,
    result_type   text,
    error_type    text,
    error_message text,
    reason        text,
    scheduled_by  text,
    parent        text,
    fire_at_ms    bigint,
    fire_until_ms bigint,
    fires         bigint,
    duplicate_of  text,
    replaced      text,
    cached        boolean,
    at            timestamptz generated always as (at_of(at_ms)) stored,
    primary key (partition, record_offset)
);
alter table facts add column if not exists cached boolean;
create index if not exists facts_at on facts using brin (at);
create index if not exists facts_job on facts (job);

-- Jobs that will not be tried again, each with its errors and what runs it again.
create table if not exists dead_letters (
    partition     integer not null,
    record_offset bigint  not null,
    job           text    not null,
    key           text    not null,
    function      text    not null,
    queue         text    not null,
    at_ms         bigint  not null,
    reason        text    not null,
    attempts      integer not null,
    args          bytea,
    content_type  text    not null,
    request       text    not null,
    errors        text    not null,
    redrive       text    not null,
    settled       text,
    settled_at_ms bigint,
    at            timestamptz generated always as (at_of(at_ms)) stored,
    primary key (partition, record_offset)
);
create index if not exists dead_letters_job on dead_letters (job, key, at_ms);

-- Where each job stands. Ids are unique per key.
create table if not exists jobs (
    job           text        not null,
    key           text        not null,
    partition     integer     not null,
    function      text,
    queue         text,
    phase         text,
    attempt       integer     not null,
    epoch         bigint      not null,
    created_at    timestamptz,
    next_at       timestamptz,
    ended_at      timestamptz,
    purged_at     timestamptz,
    minion        text,
    result        bytea,
    result_type   text,
    error_type    text,
    error_message text,
    reason        text,
    scheduled_by  text,
    parent        text,
    updated_at    timestamptz,
    record_offset bigint      not null,
    primary key (job, key)
) with (fillfactor = 80);
create index if not exists jobs_created_at on jobs using brin (created_at);

-- Each time a job was offered to minions: an attempt that was lost or handed back has several rows, one for each epoch.
create table if not exists attempts (
    job           text        not null,
    key           text        not null,
    epoch         bigint      not null,
    attempt       integer     not null,
    function      text,
    queue         text,
    offered_at    timestamptz,
    started_at    timestamptz,
    ended_at      timestamptz,
    outcome       text,
    queued_ms     bigint,
    start_ms      bigint,
    run_ms        bigint,
    minion        text,
    session       text,
    relay         text,
    step          text,
    done          bigint,
    total         bigint,
    error_type    text,
    error_message text,
    primary key (job, key, epoch)
) with (fillfactor = 80);
create index if not exists attempts_ended_at on attempts using brin (ended_at);

-- Each schedule, and what became of its fires.
create table if not exists schedules (
    schedule      text        not null primary key,
    key           text,
    function      text,
    queue         text,
    state         text        not null,
    created_at    timestamptz,
    next_fire_at  timestamptz,
    last_fire_at  timestamptz,
    fired         bigint      not null default 0,
    missed        bigint      not null default 0,
    skipped       bigint      not null default 0,
    buffered      bigint      not null default 0,
    dropped       bigint      not null default 0,
    reason        text,
    updated_at    timestamptz,
    record_offset bigint      not null
);

create or replace function keep_jobs() returns trigger
    language plpgsql set search_path from current as
$$
begin
    insert into jobs as kept (
        job, key, partition, function, queue, phase, attempt, epoch, created_at, next_at, ended_at, purged_at,
        minion, result, result_type, error_type, error_message, reason, scheduled_by, parent, updated_at, record_offset)
    select job, key, partition, function, queue, phase, attempt, epoch, created_at, next_at, ended_at, purged_at,
        minion, result, result_type,
        case when phase is distinct from 'succeeded' then error_type end,
        case when phase is distinct from 'succeeded' then error_message end,
        reason, scheduled_by, parent, at, record_offset
    from (
        select distinct on (job, key) job, key, partition, function, queue, attempt, epoch,
            at_of(created_at_ms) as created_at, at_of(next_at_ms) as next_at, at_of(ended_at_ms) as ended_at,
            case when fact = 'purged' then at end as purged_at,
            -- Only some facts tell these: the last word on each.
            first_value(phase) over (partition by job, key order by phase is null, record_offset desc) as phase,
            first_value(minion) over (partition by job, key order by minion is null, record_offset desc) as minion,
            first_value(result) over (partition by job, key order by result is null, record_offset desc) as result,
            first_value(result_type) over (
                partition by job, key order by result_type is null, record_offset desc) as result_type,
            first_value(error_type) over (
                partition by job, key order by error_type is null, record_offset desc) as error_type,
            first_value(error_message) over (
                partition by job, key order by error_type is null, record_offset desc) as error_message,
            reason, scheduled_by, parent, at, record_offset
        from told
        where fact not in ('rejected', 'deduplicated') and not starts_with(fact, 'schedule_')
        order by job, key, record_offset desc
    ) as said
    on conflict (job, key) do update set
        phase = coalesce(excluded.phase, kept.phase),
        attempt = excluded.attempt,
        epoch = excluded.epoch,
        next_at = excluded.next_at,
        ended_at = excluded.ended_at,
        purged_at = coalesce(excluded.purged_at, kept.purged_at),
        minion = coalesce(excluded.minion, kept.minion),
        result = coalesce(excluded.result, kept.result),
        result_type = coalesce(excluded.result_type, kept.result_type),
        error_type = case when excluded.phase = 'succeeded' then null
            else coalesce(excluded.error_type, kept.error_type) end,
        error_message = case when excluded.phase = 'succeeded' then null
            when excluded.error_type is null then kept.error_message else excluded.error_message end,
        reason = coalesce(excluded.reason, kept.reason),
        updated_at = excluded.updated_at,
        record_offset = excluded.record_offset
    where kept.record_offset < excluded.record_offset;
    -- Its retention is over.
    update jobs set result = null, result_type = null from told
    where told.fact = 'result_dropped' and (jobs.job, jobs.key) = (told.job, told.key);
    return null;
end
$$;

create or replace function keep_attempts() returns trigger
    language plpgsql set search_path from current as
$$
begin
    insert into attempts as kept (
        job, key, epoch, attempt, function, queue, offered_at, started_at, ended_at, outcome, queued_ms, start_ms,
        run_ms, minion, session, relay, step, done, total, error_type, error_message)
    select
        job, key, epoch, min(attempt), max(function), max(queue), min(offered_at), min(started_at), min(ended_at),
        (array_agg(outcome order by record_offset) filter (where outcome is not null))[1],
        max(queued_ms), max(start_ms), max(run_ms), max(minion), max(session), max(relay),
        (array_agg(step order by record_offset desc) filter (where step is not null))[1],
        max(done), max(total), max(error_type), max(error_message)
    from (
        -- A job is offered: this epoch begins.
        select job, key, epoch, attempt, function, queue, at as offered_at, null::timestamptz as started_at,
            null::timestamptz as ended_at, null as outcome, null::bigint as queued_ms, null::bigint as start_ms,
            null::bigint as run_ms, null as minion, null as session, null as relay, null as step,
            null::bigint as done, null::bigint as total, null as error_type, null as error_message, record_offset
        from told
        where epoch > 0 and phase = 'ready' and fact in ('admitted', 'readied', 'retried', 'lost', 'handed_back')
        union all
        -- It is on its way, or over. A fact that offers the job again in the same step names the next epoch.
        select job, key, case when phase = 'ready' then epoch - 1 else epoch end,
            case when fact = 'lost' and phase = 'ready' then attempt - 1 else attempt end,
            function, queue, null,
            case when run_ms between 0 and at_ms then at_of(at_ms - run_ms) when fact = 'started' then at end,
            case when fact not in ('started', 'progressed') then at end,
            case fact when 'started' then null when 'progressed' then null when 'died' then 'failed' else fact end,
            queued_ms, start_ms, run_ms, minion, session, relay, step, done, total, error_type, error_message,
            record_offset
        from told
        where epoch > case when phase = 'ready' then 1 else 0 end and fact in (
            'started', 'progressed', 'succeeded', 'failed', 'lost', 'snoozed', 'handed_back', 'died', 'cancelled',
            'expired', 'parked', 'rescheduled')
        union all
        -- It is offered anew although nobody told an end: the offer before was taken back.
        select job, key, epoch - 1, attempt, function, queue, null, null, at, 'taken_back', null, null, null, null, null,
            null, null, null, null, null, null, record_offset
        from told
        where epoch > 1 and phase = 'ready' and fact = 'readied'
    ) as said
    group by job, key, epoch
    on conflict (job, key, epoch) do update set
        offered_at = coalesce(kept.offered_at, excluded.offered_at),
        started_at = coalesce(excluded.started_at, kept.started_at),
        -- What was told first is how it ended: a job may be cancelled long after its last attempt failed.
        ended_at = coalesce(kept.ended_at, excluded.ended_at),
        outcome = coalesce(kept.outcome, excluded.outcome),
        queued_ms = coalesce(excluded.queued_ms, kept.queued_ms),
        start_ms = coalesce(excluded.start_ms, kept.start_ms),
        run_ms = coalesce(excluded.run_ms, kept.run_ms),
        minion = coalesce(excluded.minion, kept.minion),
        session = coalesce(excluded.session, kept.session),
        relay = coalesce(excluded.relay, kept.relay),
        step = coalesce(excluded.step, kept.step),
        done = coalesce(excluded.done, kept.done),
        total = coalesce(excluded.total, kept.total),
        error_type = coalesce(kept.error_type, excluded.error_type),
        error_message = coalesce(kept.error_message, excluded.error_message);
    return null;
end
$$;

create or replace function keep_schedules() returns trigger
    language plpgsql set search_path from current as
$$
begin
    insert into schedules as kept (
        schedule, key, function, queue, state, created_at, next_fire_at, last_fire_at, fired, missed, skipped, buffered,
        dropped, reason, updated_at, record_offset)
    select
        job, max(said.key), max(said.function), max(said.queue),
        coalesce((array_agg(
            case fact
                when 'schedule_paused' then 'paused' when 'schedule_removed' then 'removed'
                when 'schedule_orphaned' then 'orphaned' else 'active' end
            order by said.record_offset desc) filter (where fact in (
                'schedule_saved', 'schedule_paused', 'schedule_resumed', 'schedule_removed', 'schedule_orphaned')))[1],
            ''),
        min(at_of(created_at_ms)),
        (array_agg(at_of(next_at_ms) order by said.record_offset desc))[1],
        max(at_of(fire_until_ms)) filter (where fact = 'schedule_fired'),
        coalesce(sum(fires) filter (where fact = 'schedule_fired'), 0),
        coalesce(sum(fires) filter (where fact = 'schedule_missed'), 0),
        coalesce(sum(fires) filter (where fact = 'schedule_skipped'), 0),
        coalesce(sum(fires) filter (where fact = 'schedule_buffered'), 0),
        coalesce(sum(fires) filter (where fact = 'schedule_dropped'), 0),
        (array_agg(said.reason order by said.record_offset desc))[1],
        max(at), max(said.record_offset)
    from told as said left join schedules as known on known.schedule = job
    where starts_with(fact, 'schedule_') and (known.record_offset is null or known.record_offset < said.record_offset)
    group by job
    on conflict (schedule) do update set
        function = excluded.function,
        queue = excluded.queue,
        state = coalesce(nullif(excluded.state, ''), kept.state),
        next_fire_at = excluded.next_fire_at,
        last_fire_at = greatest(excluded.last_fire_at, kept.last_fire_at),
        fired = kept.fired + excluded.fired,
        missed = kept.missed + excluded.missed,
        skipped = kept.skipped + excluded.skipped,
        buffered = kept.buffered + excluded.buffered,
        dropped = kept.dropped + excluded.dropped,
        reason = excluded.reason,
        updated_at = excluded.updated_at,
        record_offset = excluded.record_offset;
    return null;
end
$$;

-- A letter that is there already, at another offset, is not kept twice: a worker that crashed tells a death again, and
-- a letter that was redriven or discarded is written again with that word.
create or replace function keep_letter_once() returns trigger
    language plpgsql set search_path from current as
$$
begin
    update dead_letters as kept
    set settled = coalesce(new.settled, kept.settled), settled_at_ms = coalesce(new.settled_at_ms, kept.settled_at_ms)
    where job = new.job and key = new.key and at_ms = new.at_ms and record_offset <> new.record_offset;
    if found then
        return null;
    end if;
    return new;
end
$$;

create or replace trigger keep_jobs after insert on facts
    referencing new table as told for each statement execute function keep_jobs();
create or replace trigger keep_attempts after insert on facts
    referencing new table as told for each statement execute function keep_attempts();
create or replace trigger keep_schedules after insert on facts
    referencing new table as told for each statement execute function keep_schedules();
create or replace trigger keep_letter_once before insert on dead_letters
    for each row execute function keep_letter_once();
