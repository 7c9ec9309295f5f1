-- What processes share (architecture: nodes, leadership, deferred work, rollouts).

create table cluster_nodes (
    node_id text not null,
    process_class text not null,
    roles blob not null,
    internal_address text not null,
    version text not null,
    details blob not null,
    started_at integer not null,
    heartbeat_at integer not null,
    constraint cluster_nodes_pkey primary key (node_id)
) strict;

create table leader_leases (
    name text not null,
    holder text not null,
    term integer not null,
    expires_at integer not null,
    constraint leader_leases_pkey primary key (name)
) strict;

-- Work that a transition leaves for after its commit; a row is deleted once it is done.
create table outbox (
    id text not null,
    kind text not null,
    namespace text not null,
    run_id text not null,
    available_at integer not null,
    created_at integer not null,
    payload blob,
    constraint outbox_pkey primary key (id)
) strict;

-- list_due_outbox
create index outbox_due on outbox (available_at, id);

-- The cohort without a build id is the empty string: a key column cannot be null.
create table build_id_rollouts (
    namespace text not null,
    task_queue text not null,
    build_id text not null,
    drain_intent text not null,
    drained_at integer,
    promoted_at integer,
    rolled_back_at integer,
    created_at integer not null,
    updated_at integer not null,
    constraint build_id_rollouts_pkey primary key (namespace, task_queue, build_id),
    constraint build_id_rollouts_intent check (drain_intent in ('active', 'draining'))
) strict;

-- put_worker, touch_workers; list_draining_queues reads it as a whole
create index build_id_rollouts_draining
    on build_id_rollouts (namespace, task_queue, build_id)
    where drain_intent = 'draining';
