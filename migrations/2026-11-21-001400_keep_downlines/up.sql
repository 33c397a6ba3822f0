-- Segments without a table. A member 63, 126, ... levels down anchors a segment: the paths of those below it start anew with its own
-- label, `anchor.referee...`, up to the next anchor. All referees of one member then share one segment, however many they are.
-- Anchors are found by an index over a column that changes once, so that counting referees stays a cheap update.
drop table member_segments;

alter table members
add column is_anchor boolean not null generated always as (depth > 0 and depth % 63 = 0 and referee_count > 0) stored,
add column value_minor bigint not null default 0,
add column last_active_at timestamptz;

with recursive branch as (
    select m.brand_id, m.id, m.path, m.depth from members m where m.depth = 63
    union all
    select
        m.brand_id,
        m.id,
        case when b.depth % 63 = 0 then subpath(b.path, -1) else b.path end || subpath(m.path, -1),
        m.depth
    from branch b join members m on m.brand_id = b.brand_id and m.referrer_id = b.id
)
update members m set path = b.path from branch b where m.brand_id = b.brand_id and m.id = b.id and m.path <> b.path;

update members m
set value_minor = s.value_minor
from (
    select c.brand_id, c.member_id, sum(c.amount_minor - c.refunded_minor) as value_minor
    from conversions c join brands b on b.id = c.brand_id
    where c.currency = b.currency and c.member_id is not null
    group by c.brand_id, c.member_id
) s
where m.brand_id = s.brand_id and m.id = s.member_id;

update members m
set last_active_at = greatest(
    m.signed_up_at, m.activated_at,
    (select max(c.occurred_at) from conversions c where c.brand_id = m.brand_id and c.member_id = m.id)
);

-- The work-horse of the forest: a degree of a subtree is one range, and its sums are read from the index alone.
drop index members_path_idx;
create index members_path_idx on members (brand_id, depth, path)
include (joined_at, activated_at, last_active_at, value_minor);
create index members_anchors_idx on members (brand_id, path) where is_anchor;

-- Kept sums of a member's downline, a row per degree down to the next anchor: those below an anchor are kept with the anchor, so an
-- event changes at most 63 rows whatever the depth. Keyed by the number, since the path of the one who joins or buys spells the
-- numbers of all whose sums change. The magnitudes are logarithms: they change seldom, so an index on them costs little, and the
-- leading referrers stand at its end.
create table member_downlines (
    brand_id uuid not null,
    member_number bigint not null,
    degree integer not null,
    member_count integer not null,
    signed_up_count integer not null,
    activated_count integer not null,
    value_minor bigint not null,
    referral_magnitude smallint not null
    generated always as (case when signed_up_count > 0 then floor(ln(signed_up_count::float8) / ln(2.0::float8)) else -1 end) stored,
    value_magnitude smallint not null
    generated always as (case when value_minor > 0 then floor(ln(value_minor::float8) / ln(2.0::float8)) else -1 end) stored,
    constraint member_downlines_pkey primary key (brand_id, member_number, degree),
    constraint member_downlines_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint member_downlines_degree_check check (degree between 1 and 63),
    constraint member_downlines_count_check check (member_count >= 0 and signed_up_count >= 0 and activated_count >= 0)
) with (fillfactor = 80);
create index member_downlines_referral_idx on member_downlines (brand_id, degree, referral_magnitude, member_number)
where degree <= 10;
create index member_downlines_value_idx on member_downlines (brand_id, degree, value_magnitude, member_number)
where degree <= 10;

-- How many members of a downline were last active on a day, kept for two months: who was active of late is then a sum of a month of
-- rows, and nothing has to change as days pass.
create table member_activity_days (
    brand_id uuid not null,
    member_number bigint not null,
    active_on date not null,
    member_count integer not null,
    constraint member_activity_days_pkey primary key (brand_id, member_number, active_on),
    constraint member_activity_days_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint member_activity_days_count_check check (member_count >= 0)
) with (fillfactor = 80);
create index member_activity_days_active_on_idx on member_activity_days (brand_id, active_on);

with recursive up as (
    select
        m.brand_id,
        m.id,
        r.number as member_number,
        r.referrer_id,
        1 as degree,
        r.depth > 0 and r.depth % 63 = 0 as is_last
    from members m join members r on r.brand_id = m.brand_id and r.id = m.referrer_id
    union all
    select
        u.brand_id,
        u.id,
        r.number,
        r.referrer_id,
        u.degree + 1,
        r.depth > 0 and r.depth % 63 = 0
    from up u join members r on r.brand_id = u.brand_id and r.id = u.referrer_id
    where not u.is_last
),

days as (
    insert into member_activity_days (brand_id, member_number, active_on, member_count)
    select u.brand_id, u.member_number, (m.last_active_at at time zone 'UTC')::date, count(*)
    from up u join members m on m.brand_id = u.brand_id and m.id = u.id
    where m.last_active_at >= now() - interval '62 days'
    group by 1, 2, 3
)

insert into member_downlines (brand_id, member_number, degree, member_count, signed_up_count, activated_count, value_minor)
select u.brand_id, u.member_number, u.degree, count(*), count(m.signed_up_at), count(m.activated_at), sum(m.value_minor)
from up u join members m on m.brand_id = u.brand_id and m.id = u.id
group by 1, 2, 3;

-- Who moved whom, and why: rewards and attribution that were given before name the place of their time.
create table member_moves (
    brand_id uuid not null,
    id uuid not null,
    member_id uuid not null,
    from_referrer_id uuid,
    to_referrer_id uuid,
    moved_member_count bigint not null,
    reason text not null,
    api_key_id uuid,
    moved_at timestamptz not null,
    constraint member_moves_pkey primary key (brand_id, id),
    constraint member_moves_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint member_moves_member_id_fkey foreign key (brand_id, member_id)
    references members (brand_id, id) on delete restrict,
    constraint member_moves_from_referrer_id_fkey foreign key (brand_id, from_referrer_id)
    references members (brand_id, id) on delete restrict,
    constraint member_moves_to_referrer_id_fkey foreign key (brand_id, to_referrer_id)
    references members (brand_id, id) on delete restrict,
    constraint member_moves_api_key_id_fkey foreign key (brand_id, api_key_id)
    references api_keys (brand_id, id) on delete restrict,
    constraint member_moves_reason_check check (octet_length(reason) between 1 and 500)
);
create index member_moves_member_id_idx on member_moves (brand_id, member_id, moved_at, id);
create index member_moves_from_referrer_id_idx on member_moves (brand_id, from_referrer_id);
create index member_moves_to_referrer_id_idx on member_moves (brand_id, to_referrer_id);
create index member_moves_api_key_id_idx on member_moves (brand_id, api_key_id);
