-- Hours of a brand (UTC) of which a report would say something else since their sums were kept. Whatever changes it adds a row in the same
-- transaction, and who keeps the sums of the hour deletes the rows that its snapshot saw. Rows are only added and deleted: writers never wait
-- for each other, and what a snapshot did not see stays marked.
create table report_marks (
    brand_id uuid not null,
    hour_at timestamptz not null,
    id bigint generated always as identity,
    marked_at timestamptz not null,
    constraint report_marks_pkey primary key (brand_id, hour_at, id),
    constraint report_marks_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade
);

-- The hours and days (UTC) whose sums are kept. They stand while no hour of them is marked, and the policies that they were judged under are
-- those in force.
create table report_spans (
    brand_id uuid not null,
    span text not null,
    starts_at timestamptz not null,
    -- The longest window in force when conversions were judged that name no campaign; null where there are none: a longer one may find them one.
    lookback_hours integer,
    constraint report_spans_pkey primary key (brand_id, span, starts_at),
    constraint report_spans_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint report_spans_span_check check (span in ('HOUR', 'DAY'))
);

-- The policies in force that conversions without a campaign were judged by: those of the campaigns whose touches came before them.
create table report_policies (
    brand_id uuid not null,
    span text not null,
    starts_at timestamptz not null,
    campaign_id uuid not null,
    policy_version integer not null,
    constraint report_policies_pkey primary key (brand_id, span, starts_at, campaign_id),
    constraint report_policies_span_fkey foreign key (brand_id, span, starts_at)
    references report_spans (brand_id, span, starts_at) on delete cascade
);

-- What a group has in a span. The campaign is the one that judged the conversions, or that of the touches or of the rewards; touches have no
-- currency (''). Units are parts of 10^12 of a conversion. Sums have no bound: numeric, where a single amount has 64 bits.
create table report_sums (
    brand_id uuid not null,
    span text not null,
    starts_at timestamptz not null,
    dimension text not null,
    campaign_id uuid not null,
    currency text not null,
    key text not null,
    touch_count bigint not null,
    click_count bigint not null,
    reward_count bigint not null,
    cost_minor numeric not null,
    first_touch_units numeric not null,
    first_touch_minor numeric not null,
    last_touch_units numeric not null,
    last_touch_minor numeric not null,
    linear_units numeric not null,
    linear_minor numeric not null,
    time_decay_units numeric not null,
    time_decay_minor numeric not null,
    position_based_units numeric not null,
    position_based_minor numeric not null,
    weighted_last_touch_units numeric not null,
    weighted_last_touch_minor numeric not null,
    constraint report_sums_pkey primary key (brand_id, span, starts_at, dimension, campaign_id, currency, key),
    constraint report_sums_span_fkey foreign key (brand_id, span, starts_at)
    references report_spans (brand_id, span, starts_at) on delete cascade,
    constraint report_sums_dimension_check check (
        dimension in ('CREATOR', 'CAMPAIGN', 'PLATFORM', 'SUB_ID', 'CHANNEL', 'DAY')
    )
);

-- All conversions of a span, credited or not, by the campaign that judged them: of no campaign under the nil identifier.
create table report_totals (
    brand_id uuid not null,
    span text not null,
    starts_at timestamptz not null,
    campaign_id uuid not null,
    currency text not null,
    conversion_count bigint not null,
    value_minor numeric not null,
    constraint report_totals_pkey primary key (brand_id, span, starts_at, campaign_id, currency),
    constraint report_totals_span_fkey foreign key (brand_id, span, starts_at)
    references report_spans (brand_id, span, starts_at) on delete cascade
);

-- What each member above the buyers has: by member, since how many have a part in several spans is no sum.
create table report_uplines (
    brand_id uuid not null,
    span text not null,
    starts_at timestamptz not null,
    campaign_id uuid not null,
    currency text not null,
    degree smallint not null,
    member_id uuid not null,
    weight_units numeric not null,
    value_minor numeric not null,
    constraint report_uplines_pkey primary key (brand_id, span, starts_at, campaign_id, currency, degree, member_id),
    constraint report_uplines_span_fkey foreign key (brand_id, span, starts_at)
    references report_spans (brand_id, span, starts_at) on delete cascade
);

-- Nothing of what is there is kept yet.
insert into report_marks (brand_id, hour_at, marked_at)
select brand_id, hour_at, now() from (
    select brand_id, date_trunc('hour', occurred_at, 'UTC') as hour_at from touchpoints
    union
    select brand_id, date_trunc('hour', occurred_at, 'UTC') from conversions
    union
    select brand_id, date_trunc('hour', triggered_at, 'UTC') from rewards
) as hours;
