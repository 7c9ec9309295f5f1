-- What processes share (architecture: nodes, leadership, deferred work, rollouts).

create table cluster_nodes (
    node_id text collate "C" not null,
    process_class text not null,
    roles bytea not null,
    internal_address text not null,
    version text not null,
    details bytea not null,
    started_at bigint not null,
    heartbeat_at bigint not null,
    constraint cluster_nodes_pkey primary key (node_id)
) with (fillfactor = 50);

create table leader_leases (
    name text collate "C" not null,
    holder text not null,
    term bigint not null,
    expires_at bigint not null,
    constraint leader_leases_pkey primary key (name)
) with (fillfactor = 50);

-- Work that a transition leaves for after its commit; a row is deleted once it is done.
create table outbox (
    id text collate "C" not null,
    kind text not null,
    namespace text not null,
    run_id text not null,
    available_at bigint not null,
    created_at bigint not null,
    payload bytea,
    constraint outbox_pkey primary key (id)
);

create type outbox_row as (
    n integer,
    id text,
    kind text,
    namespace text,
    run_id text,
    available_at bigint,
    created_at bigint,
    payload bytea
);

-- list_due_outbox
create index outbox_due on outbox (available_at, id);

-- The cohort without a build id is the empty string: a key column cannot be null.
create table build_id_rollouts (
    namespace text collate "C" not null,
    task_queue text collate "C" not null,
    build_id text collate "C" not null,
    drain_intent text not null,
    drained_at bigint,
    promoted_at bigint,
    rolled_back_at bigint,
    created_at bigint not null,
    updated_at bigint not null,
    constraint build_id_rollouts_pkey primary key (namespace, task_queue, build_id),
    constraint build_id_rollouts_intent check (drain_intent in ('active', 'draining'))
);

-- put_worker, touch_workers; list_draining_queues reads it as a whole
create index build_id_rollouts_draining
    on build_id_rollouts (namespace, task_queue, build_id)
    where drain_intent = 'draining';
