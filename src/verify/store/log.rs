//! Invariants of the log of events, of those who read it, and of the outbox: each statement takes the brand and counts the rows that
//! break the rule.

/// The least identifier of an event that the log still keeps: an identifier begins with the moment of its recording, in milliseconds.
macro_rules! first_kept {
    () => {
        "coalesce((select (lpad(to_hex((extract(epoch from (max(day) + 1)::timestamp at time zone 'UTC') * 1000)::bigint), 12, '0')
                           || repeat('0', 20))::uuid from dropped_days), '00000000-0000-0000-0000-000000000000')"
    };
}

/// The name of each invariant, and the statement that counts its breaches.
pub(in crate::verify) const LOG_INVARIANTS: &[(&str, &str)] = &[
    (
        "every event that was read has its effect, once",
        "select count(*) as value from events e
         join positions p on p.consumer = 'pipeline' and p.shard = e.shard
         where e.brand_id = $1 and e.state = 'ACCEPTED' and (e.recorded_xid, e.seq) <= (p.recorded_xid, p.seq)
           and case
               when e.event_type = 'conversion' then not exists (select from conversions c where c.brand_id = e.brand_id and c.id = e.id)
               when e.event_type = 'refund' then not exists (select from refunds r where r.brand_id = e.brand_id and r.id = e.id)
               when e.event_type in ('identify', 'post') then false
               else not exists (select from touchpoints t where t.brand_id = e.brand_id and t.id = e.id) end",
    ),
    (
        "an event that waits or was refused has no effect",
        "select count(*) as value from (
             select id from touchpoints where brand_id = $1
             union all select id from conversions where brand_id = $1
             union all select id from refunds where brand_id = $1) facts
         join events e on e.brand_id = $1 and e.id = facts.id
         left join positions p on p.consumer = 'pipeline' and p.shard = e.shard
         where e.state <> 'ACCEPTED' or p.shard is null or (e.recorded_xid, e.seq) > (p.recorded_xid, p.seq)",
    ),
    (
        "every touchpoint, conversion and refund has its event, as far back as the log reaches",
        concat!(
            "select count(*) as value from (
                 select id from touchpoints where brand_id = $1
                 union all select id from conversions where brand_id = $1
                 union all select id from refunds where brand_id = $1) facts
             where facts.id >= ",
            first_kept!(),
            " and not exists (select from events e where e.brand_id = $1 and e.id = facts.id)"
        ),
    ),
    (
        "an event is there once, and stands in its brand's shard",
        "select count(*) - count(distinct e.id) + count(*) filter (where e.shard <> b.shard) as value
         from events e join brands b on b.id = e.brand_id where e.brand_id = $1",
    ),
    (
        "a refused event says why, and a dead one was tried",
        "select count(*) as value from events
         where brand_id = $1 and state <> 'ACCEPTED'
               and (coalesce(code, '') = '' or coalesce(reason, '') = '' or (state = 'DEAD' and attempt_count = 0))",
    ),
    (
        "every key names an event, as far back as the log reaches",
        concat!(
            "select count(*) as value from event_keys k
             where k.brand_id = $1 and k.event_id >= ",
            first_kept!(),
            " and not exists (select from events e where e.brand_id = k.brand_id and e.id = k.event_id)"
        ),
    ),
    (
        "no event waits where its reader does not look",
        "select count(*) as value from events e
         join positions p on p.shard = e.shard
         where e.brand_id = $1 and e.state = 'ACCEPTED' and (e.recorded_xid, e.seq) > (p.recorded_xid, p.seq) and e.recorded_at < p.since",
    ),
    (
        "no place and no position is ahead of the database's transactions",
        "select (select count(*) from events e where e.brand_id = $1 and e.recorded_xid >= s.xmax)
                + (select count(*) from positions p join brands b on b.id = $1 and b.shard = p.shard where p.recorded_xid >= s.xmax) as value
         from (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xmax) s",
    ),
    (
        "the outbox has no gap",
        "select c.value - (select count(*) from outbox o where o.brand_id = $1 and o.seq between 1 and c.value) as value
         from (select coalesce(max(value), 0) as value from brand_counters where brand_id = $1 and name = 'outbox') c",
    ),
    (
        "nothing stands in the outbox beyond its counter, and nothing was published that does not stand there",
        "select (select count(*) from outbox o where o.brand_id = $1 and o.seq not between 1 and c.value)
                + greatest(0, p.value - c.value) as value
         from (select coalesce(max(value), 0) as value from brand_counters where brand_id = $1 and name = 'outbox') c,
              (select coalesce(max(value), 0) as value from brand_counters where brand_id = $1 and name = 'outbox_published') p",
    ),
    (
        "every entry of the outbox names what is there",
        "select count(*) as value from outbox o
         where o.brand_id = $1 and not case o.topic
             when 'reward.changed' then exists (select from rewards r where r.brand_id = o.brand_id and r.id = o.subject_id)
             when 'attribution.changed' then exists (select from conversions c where c.brand_id = o.brand_id and c.id = o.subject_id)
             when 'fraud_alert.raised' then exists (select from fraud_alerts a where a.brand_id = o.brand_id and a.id = o.subject_id)
             when 'fraud_alert.reviewed' then exists (select from fraud_alerts a where a.brand_id = o.brand_id and a.id = o.subject_id)
             else exists (select from payouts p where p.brand_id = o.brand_id and p.id = o.subject_id) end",
    ),
    (
        "every alert is in the outbox under its own number",
        "select count(*) as value from fraud_alerts a
         where a.brand_id = $1 and not exists (
             select from outbox o where o.brand_id = a.brand_id and o.seq = a.seq and o.subject_id = a.id and o.topic = 'fraud_alert.raised')",
    ),
    (
        "every reward, every attribution and every step of a payout was told",
        "select count(*) as value from (
             select id, 'reward.changed' as topic from rewards where brand_id = $1
             union all select id, 'attribution.changed' from conversions where brand_id = $1 and generation > 0
             union all select id, 'payout.created' from payouts where brand_id = $1
             union all select id, 'payout.approved' from payouts where brand_id = $1 and approved_at is not null
             union all select id, 'payout.' || lower(state) from payouts where brand_id = $1 and closed_at is not null) told
         where not exists (select from outbox o where o.brand_id = $1 and o.subject_id = told.id and o.topic = told.topic)",
    ),
];

/// Those that hold for as long as keys are kept: each statement takes the first day too.
pub(in crate::verify) const KEY_INVARIANTS: &[(&str, &str)] = &[(
    "every event of the last 89 days has a key",
    "select count(*) as value from events e
     where e.brand_id = $1 and e.recorded_at >= $2::timestamp at time zone 'UTC'
           and not exists (select from event_keys k where k.brand_id = e.brand_id and k.event_id = e.id)",
)];
