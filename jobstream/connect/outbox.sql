-- An outbox: a job is asked for by a row that an application inserts in the transaction of its own changes. Debezium's
-- connector reads it from the database's log and writes its payload to the topic of requests; no SDK takes part.
--
--   insert into jobstream.outbox (function, key, args) values ('mail.send', 'orders-17', '{"to": "a@b.c"}');
--
-- Rows may be deleted at once, in the same transaction even: it is the log that is read. The id of the row is the id of
-- the job, so a row that is read twice runs once.
create table if not exists outbox (
    id            uuid        not null primary key default gen_random_uuid(),
    function      text        not null,
    key           text,
    args          jsonb       not null default '{}',
    -- Whatever else a request may have, as {"queue": "mail", "run_at": "2026-01-31T12:00:00Z"}.
    options       jsonb       not null default '{}',
    created_at    timestamptz not null default now(),
    -- What Debezium's event router reads; a trigger writes them, since the log does not have generated columns.
    aggregatetype text        not null,
    aggregateid   text        not null,
    payload       jsonb       not null
);

create or replace function address_request() returns trigger
    language plpgsql as
$$
begin
    new.aggregatetype := 'requests';
    new.aggregateid := coalesce(new.key, new.id::text);
    new.payload := new.options
        || jsonb_strip_nulls(jsonb_build_object('function', new.function, 'key', new.key))
        || jsonb_build_object('id', new.id::text, 'args', new.args);
    return new;
end
$$;

create or replace trigger address_request before insert on outbox
    for each row execute function address_request();
