-- What was judged, with every signal that spoke, and the alerts that people review. Scores are millionths.
create table fraud_assessments (
    brand_id uuid not null,
    id uuid not null,
    subject_kind text not null,
    subject_id uuid not null,
    campaign_id uuid,
    creator_id uuid,
    member_id uuid,
    policy_version integer not null,
    decision text not null,
    score_ppm integer not null,
    signals jsonb not null,
    assessed_at timestamptz not null,
    constraint fraud_assessments_pkey primary key (brand_id, id),
    constraint fraud_assessments_subject_kind_check check (
        subject_kind in ('touchpoint', 'conversion', 'member', 'creator', 'reward')
    ),
    constraint fraud_assessments_decision_check check (decision in ('ALLOW', 'REVIEW', 'BLOCK')),
    constraint fraud_assessments_score_ppm_check check (score_ppm between 0 and 1000000)
);
create index fraud_assessments_subject_idx on fraud_assessments (brand_id, subject_kind, subject_id, assessed_at);
create index fraud_assessments_creator_id_idx on fraud_assessments (brand_id, creator_id, assessed_at);
create index fraud_assessments_campaign_id_idx on fraud_assessments (brand_id, campaign_id, assessed_at);

-- A burst is one alert that counts: `cause_key` names actor, owner, signal and hour. `seq` is the place in the brand's outbox.
create table fraud_alerts (
    brand_id uuid not null,
    id uuid not null,
    seq bigint not null,
    cause_key text not null,
    assessment_id uuid not null,
    subject_kind text not null,
    subject_id uuid not null,
    campaign_id uuid,
    creator_id uuid,
    member_id uuid,
    decision text not null,
    score_ppm integer not null,
    signals jsonb not null,
    occurrence_count bigint not null,
    state text not null,
    at_risk_minor bigint not null,
    currency text not null,
    raised_at timestamptz not null,
    reviewed_at timestamptz,
    reviewed_by uuid,
    review_note text,
    constraint fraud_alerts_pkey primary key (brand_id, id),
    constraint fraud_alerts_seq_key unique (brand_id, seq),
    constraint fraud_alerts_cause_key_key unique (brand_id, cause_key),
    constraint fraud_alerts_assessment_id_fkey foreign key (brand_id, assessment_id)
    references fraud_assessments (brand_id, id) on delete restrict,
    constraint fraud_alerts_subject_kind_check check (
        subject_kind in ('touchpoint', 'conversion', 'member', 'creator', 'reward')
    ),
    constraint fraud_alerts_decision_check check (decision in ('REVIEW', 'BLOCK')),
    constraint fraud_alerts_state_check check (state in ('OPEN', 'CONFIRMED', 'DISMISSED')),
    constraint fraud_alerts_review_check check ((state = 'OPEN') = (reviewed_at is null)),
    constraint fraud_alerts_score_ppm_check check (score_ppm between 0 and 1000000),
    constraint fraud_alerts_at_risk_minor_check check (at_risk_minor >= 0)
);
create index fraud_alerts_assessment_id_idx on fraud_alerts (brand_id, assessment_id);
create index fraud_alerts_creator_id_idx on fraud_alerts (brand_id, creator_id, seq);
create index fraud_alerts_campaign_id_idx on fraud_alerts (brand_id, campaign_id, seq);
create index fraud_alerts_member_id_idx on fraud_alerts (brand_id, member_id, seq);
create index fraud_alerts_subject_idx on fraud_alerts (brand_id, subject_kind, subject_id);
