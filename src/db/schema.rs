//! The tables as Diesel sees them. Written by `./dev generate` from the migrated database: do not edit.

diesel::table! {
    api_keys (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        name -> Text,
        role -> Text,
        key_hash -> Bytea,
        creator_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        expires_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    attempts (consumer, shard) {
        consumer -> Text,
        shard -> Int2,
        token -> Uuid,
        attempt_count -> Int2,
        events_max -> Int4,
        until_xid -> Nullable<Int8>,
        until_seq -> Nullable<Int8>,
        fault -> Nullable<Text>,
        begun_at -> Timestamptz,
    }
}

diesel::table! {
    attribution_records (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        conversion_id -> Uuid,
        touchpoint_id -> Uuid,
        creator_id -> Nullable<Uuid>,
        referrer_id -> Nullable<Uuid>,
        campaign_id -> Uuid,
        model -> Text,
        policy_version -> Int4,
        generation -> Int4,
        degree -> Int2,
        weight_units -> Int8,
        amount_minor -> Int8,
        currency -> Text,
        occurred_at -> Timestamptz,
        recorded_at -> Timestamptz,
        superseded_at -> Nullable<Timestamptz>,
        model_version -> Nullable<Int4>,
    }
}

diesel::table! {
    brand_counters (brand_id, name) {
        brand_id -> Uuid,
        name -> Text,
        value -> Int8,
    }
}

diesel::table! {
    brand_hosts (brand_id, host) {
        brand_id -> Uuid,
        host -> Text,
        created_at -> Timestamptz,
        place -> Int2,
    }
}

diesel::table! {
    brand_settings (brand_id) {
        brand_id -> Uuid,
        allowed_hosts -> Array<Nullable<Text>>,
        changed_at -> Timestamptz,
        ios_app_ids -> Array<Nullable<Text>>,
        ios_store_url -> Nullable<Text>,
        android_package -> Nullable<Text>,
        android_fingerprints -> Array<Nullable<Text>>,
        is_probabilistic -> Bool,
        four_eyes_above_minor -> Int8,
    }
}

diesel::table! {
    brands (id) {
        id -> Uuid,
        slug -> Text,
        name -> Text,
        currency -> Text,
        shard -> Int2,
        keeps_properties -> Bool,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    campaign_policies (brand_id, campaign_id, version) {
        brand_id -> Uuid,
        campaign_id -> Uuid,
        version -> Int4,
        attribution -> Jsonb,
        reward -> Jsonb,
        fraud -> Jsonb,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    campaigns (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        slug -> Text,
        name -> Text,
        objective -> Text,
        status -> Text,
        starts_at -> Nullable<Timestamptz>,
        ends_at -> Nullable<Timestamptz>,
        budget_minor -> Nullable<Int8>,
        currency -> Text,
        destination_url -> Nullable<Text>,
        policy_version -> Int4,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    channel_watches (brand_id, source_id, channel_id) {
        brand_id -> Uuid,
        source_id -> Uuid,
        channel_id -> Text,
        asked_at -> Nullable<Timestamptz>,
        expires_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    conversion_uplines (brand_id, conversion_id, member_id) {
        brand_id -> Uuid,
        conversion_id -> Uuid,
        member_id -> Uuid,
        ancestor_ids -> Array<Nullable<Uuid>>,
        creator_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    conversions (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        person_id -> Uuid,
        member_id -> Nullable<Uuid>,
        campaign_id -> Nullable<Uuid>,
        policy_version -> Nullable<Int4>,
        generation -> Int4,
        order_id -> Nullable<Text>,
        amount_minor -> Int8,
        refunded_minor -> Int8,
        currency -> Text,
        occurred_at -> Timestamptz,
        recorded_at -> Timestamptz,
        model_version -> Nullable<Int4>,
        device_hash -> Nullable<Bytea>,
        anonymous_hash -> Nullable<Bytea>,
        is_campaign_named -> Bool,
    }
}

diesel::table! {
    creators (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        handle -> Text,
        display_name -> Text,
        status -> Text,
        tier -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    data_driven_models (brand_id, method, transform, version) {
        brand_id -> Uuid,
        method -> Text,
        transform -> Text,
        version -> Int4,
        conversion_total -> Int8,
        conversion_count -> Int8,
        path_count -> Int8,
        computed_at -> Timestamptz,
    }
}

diesel::table! {
    data_driven_weights (brand_id, method, transform, version, channel) {
        brand_id -> Uuid,
        method -> Text,
        transform -> Text,
        version -> Int4,
        channel -> Text,
        weight_units -> Int8,
    }
}

diesel::table! {
    dropped_days (day) {
        day -> Date,
        dropped_at -> Timestamptz,
    }
}

diesel::table! {
    event_keys (brand_id, source_id, key_hash) {
        brand_id -> Uuid,
        source_id -> Uuid,
        key_hash -> Bytea,
        body_hash -> Bytea,
        event_id -> Uuid,
        recorded_at -> Timestamptz,
    }
}

diesel::table! {
    event_properties (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        properties -> Jsonb,
    }
}

diesel::table! {
    event_rulings (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        verb -> Text,
        reason -> Text,
        selection -> Jsonb,
        api_key_id -> Nullable<Uuid>,
        ruled_at -> Timestamptz,
        changed_count -> Int4,
        refused_count -> Int4,
        unchanged_count -> Int4,
    }
}

diesel::table! {
    events (brand_id, id, recorded_at) {
        brand_id -> Uuid,
        id -> Uuid,
        source_id -> Uuid,
        shard -> Int2,
        recorded_xid -> Int8,
        seq -> Int8,
        event_type -> Nullable<Text>,
        state -> Text,
        code -> Nullable<Text>,
        reason -> Nullable<Text>,
        occurred_at -> Timestamptz,
        recorded_at -> Timestamptz,
        payload -> Nullable<Jsonb>,
        raw_sealed -> Nullable<Bytea>,
        attempt_count -> Int2,
        replay_count -> Int2,
        discarded_at -> Nullable<Timestamptz>,
        is_import -> Bool,
    }
}

diesel::table! {
    fraud_alerts (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        seq -> Int8,
        cause_key -> Text,
        assessment_id -> Uuid,
        subject_kind -> Text,
        subject_id -> Uuid,
        campaign_id -> Nullable<Uuid>,
        creator_id -> Nullable<Uuid>,
        member_id -> Nullable<Uuid>,
        decision -> Text,
        score_ppm -> Int4,
        signals -> Jsonb,
        occurrence_count -> Int8,
        state -> Text,
        at_risk_minor -> Int8,
        currency -> Text,
        raised_at -> Timestamptz,
        reviewed_at -> Nullable<Timestamptz>,
        reviewed_by -> Nullable<Uuid>,
        review_note -> Nullable<Text>,
    }
}

diesel::table! {
    fraud_assessments (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        subject_kind -> Text,
        subject_id -> Uuid,
        campaign_id -> Nullable<Uuid>,
        creator_id -> Nullable<Uuid>,
        member_id -> Nullable<Uuid>,
        policy_version -> Int4,
        decision -> Text,
        score_ppm -> Int4,
        signals -> Jsonb,
        assessed_at -> Timestamptz,
    }
}

diesel::table! {
    idempotency_keys (brand_id, operation, key) {
        brand_id -> Uuid,
        operation -> Text,
        key -> Text,
        request_hash -> Bytea,
        result -> Jsonb,
        recorded_at -> Timestamptz,
    }
}

diesel::table! {
    identities (brand_id, kind, value_hash) {
        brand_id -> Uuid,
        kind -> Text,
        value_hash -> Bytea,
        person_id -> Uuid,
        first_seen_at -> Timestamptz,
    }
}

diesel::table! {
    identity_merges (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        from_person_id -> Uuid,
        into_person_id -> Uuid,
        event_id -> Uuid,
        merged_at -> Timestamptz,
        undone_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    ledger_accounts (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        bucket -> Text,
        owner_kind -> Text,
        owner_id -> Uuid,
        currency -> Text,
        debit_minor -> Int8,
        credit_minor -> Int8,
        is_guarded -> Bool,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    ledger_audits (brand_id) {
        brand_id -> Uuid,
        audited_at -> Timestamptz,
        breach_count -> Int8,
        invariant -> Nullable<Text>,
    }
}

diesel::table! {
    ledger_chain_marks (brand_id) {
        brand_id -> Uuid,
        seq -> Int8,
        hash -> Bytea,
        marked_at -> Timestamptz,
    }
}

diesel::table! {
    ledger_chains (brand_id) {
        brand_id -> Uuid,
        seq -> Int8,
        hash -> Bytea,
    }
}

diesel::table! {
    ledger_transfers (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        debit_account_id -> Uuid,
        credit_account_id -> Uuid,
        amount_minor -> Int8,
        currency -> Text,
        kind -> Text,
        reward_id -> Nullable<Uuid>,
        campaign_id -> Nullable<Uuid>,
        reverses_id -> Nullable<Uuid>,
        posted_at -> Timestamptz,
        payout_id -> Nullable<Uuid>,
        chain_seq -> Nullable<Int8>,
        chain_hash -> Nullable<Bytea>,
    }
}

diesel::table! {
    link_claims (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        link_id -> Uuid,
        claimant_hash -> Bytea,
        method -> Text,
        confidence_ppm -> Int4,
        candidate_count -> Int4,
        claimed_at -> Timestamptz,
    }
}

diesel::table! {
    link_visits (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        link_id -> Uuid,
        network_hash -> Bytea,
        device -> Text,
        visited_at -> Timestamptz,
    }
}

diesel::table! {
    links (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        token -> Text,
        campaign_id -> Uuid,
        creator_id -> Nullable<Uuid>,
        member_id -> Nullable<Uuid>,
        platform -> Text,
        sub_id -> Nullable<Text>,
        destination_url -> Text,
        utm_source -> Text,
        utm_medium -> Text,
        utm_campaign -> Text,
        utm_content -> Nullable<Text>,
        utm_term -> Nullable<Text>,
        expires_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        click_count -> Int8,
        signup_count -> Int8,
        conversion_count -> Int8,
        created_at -> Timestamptz,
        slug -> Nullable<Text>,
        ios_url -> Nullable<Text>,
        android_url -> Nullable<Text>,
        view_count -> Int8,
        is_single_use -> Bool,
        redeemed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    member_activity_days (brand_id, member_number, active_on) {
        brand_id -> Uuid,
        member_number -> Int8,
        active_on -> Date,
        member_count -> Int4,
    }
}

diesel::table! {
    member_downlines (brand_id, member_number, degree) {
        brand_id -> Uuid,
        member_number -> Int8,
        degree -> Int4,
        member_count -> Int4,
        signed_up_count -> Int4,
        activated_count -> Int4,
        value_minor -> Int8,
        referral_magnitude -> Int2,
        value_magnitude -> Int2,
    }
}

diesel::table! {
    member_moves (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        member_id -> Uuid,
        from_referrer_id -> Nullable<Uuid>,
        to_referrer_id -> Nullable<Uuid>,
        moved_member_count -> Int8,
        reason -> Text,
        api_key_id -> Nullable<Uuid>,
        moved_at -> Timestamptz,
    }
}

diesel::table! {
    members (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        number -> Int8,
        external_id -> Nullable<Text>,
        person_id -> Nullable<Uuid>,
        status -> Text,
        referrer_id -> Nullable<Uuid>,
        creator_id -> Nullable<Uuid>,
        campaign_id -> Nullable<Uuid>,
        path -> Text,
        depth -> Int4,
        joined_at -> Timestamptz,
        signed_up_at -> Nullable<Timestamptz>,
        activated_at -> Nullable<Timestamptz>,
        activation_count -> Int4,
        referee_count -> Int4,
        pending_referrer_external_id -> Nullable<Text>,
        erased_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        is_anchor -> Bool,
        value_minor -> Int8,
        last_active_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    merge_rulings (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        merge_id -> Uuid,
        reason -> Text,
        api_key_id -> Nullable<Uuid>,
        ruled_at -> Timestamptz,
        recorded_xid -> Int8,
        seq -> Int8,
        done_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    outbox (brand_id, seq) {
        brand_id -> Uuid,
        seq -> Int8,
        topic -> Text,
        subject_id -> Uuid,
        recorded_at -> Timestamptz,
    }
}

diesel::table! {
    payout_lines (brand_id, payout_id, number) {
        brand_id -> Uuid,
        payout_id -> Uuid,
        number -> Int4,
        reward_id -> Uuid,
        granted_minor -> Int8,
        amount_minor -> Int8,
        is_payable -> Bool,
        reason -> Nullable<Text>,
        is_live -> Bool,
    }
}

diesel::table! {
    payouts (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        beneficiary_creator_id -> Nullable<Uuid>,
        beneficiary_member_id -> Nullable<Uuid>,
        currency -> Text,
        gross_minor -> Int8,
        netted_minor -> Int8,
        amount_minor -> Int8,
        line_count -> Int4,
        payable_count -> Int4,
        state -> Text,
        earned_before -> Nullable<Timestamptz>,
        created_by -> Nullable<Uuid>,
        approved_by -> Nullable<Uuid>,
        provider_reference -> Nullable<Text>,
        override_reason -> Nullable<Text>,
        reason -> Nullable<Text>,
        created_at -> Timestamptz,
        approved_at -> Nullable<Timestamptz>,
        closed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    people (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        canonical_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    platform_accounts (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        creator_id -> Uuid,
        platform -> Text,
        external_id -> Text,
        username -> Nullable<Text>,
        verified_at -> Nullable<Timestamptz>,
        follower_count -> Nullable<Int4>,
        created_at -> Timestamptz,
        checked_at -> Nullable<Timestamptz>,
        asked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    platform_calls (platform) {
        platform -> Text,
        state -> Text,
        last_success_at -> Nullable<Timestamptz>,
        last_failure_at -> Nullable<Timestamptz>,
        last_failure -> Nullable<Text>,
    }
}

diesel::table! {
    positions (consumer, shard) {
        consumer -> Text,
        shard -> Int2,
        recorded_xid -> Int8,
        seq -> Int8,
        moved_at -> Timestamptz,
        since -> Timestamptz,
    }
}

diesel::table! {
    refunds (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        order_id -> Text,
        conversion_id -> Nullable<Uuid>,
        amount_minor -> Int8,
        currency -> Text,
        occurred_at -> Timestamptz,
    }
}

diesel::table! {
    report_marks (brand_id, hour_at, id) {
        brand_id -> Uuid,
        hour_at -> Timestamptz,
        id -> Int8,
        marked_at -> Timestamptz,
    }
}

diesel::table! {
    report_policies (brand_id, span, starts_at, campaign_id) {
        brand_id -> Uuid,
        span -> Text,
        starts_at -> Timestamptz,
        campaign_id -> Uuid,
        policy_version -> Int4,
    }
}

diesel::table! {
    report_spans (brand_id, span, starts_at) {
        brand_id -> Uuid,
        span -> Text,
        starts_at -> Timestamptz,
        lookback_hours -> Nullable<Int4>,
    }
}

diesel::table! {
    report_sums (brand_id, span, starts_at, dimension, campaign_id, currency, key) {
        brand_id -> Uuid,
        span -> Text,
        starts_at -> Timestamptz,
        dimension -> Text,
        campaign_id -> Uuid,
        currency -> Text,
        key -> Text,
        touch_count -> Int8,
        click_count -> Int8,
        reward_count -> Int8,
        cost_minor -> Numeric,
        first_touch_units -> Numeric,
        first_touch_minor -> Numeric,
        last_touch_units -> Numeric,
        last_touch_minor -> Numeric,
        linear_units -> Numeric,
        linear_minor -> Numeric,
        time_decay_units -> Numeric,
        time_decay_minor -> Numeric,
        position_based_units -> Numeric,
        position_based_minor -> Numeric,
        weighted_last_touch_units -> Numeric,
        weighted_last_touch_minor -> Numeric,
    }
}

diesel::table! {
    report_totals (brand_id, span, starts_at, campaign_id, currency) {
        brand_id -> Uuid,
        span -> Text,
        starts_at -> Timestamptz,
        campaign_id -> Uuid,
        currency -> Text,
        conversion_count -> Int8,
        value_minor -> Numeric,
    }
}

diesel::table! {
    report_uplines (brand_id, span, starts_at, campaign_id, currency, degree, member_id) {
        brand_id -> Uuid,
        span -> Text,
        starts_at -> Timestamptz,
        campaign_id -> Uuid,
        currency -> Text,
        degree -> Int2,
        member_id -> Uuid,
        weight_units -> Numeric,
        value_minor -> Numeric,
    }
}

diesel::table! {
    reward_caps (brand_id, campaign_id, beneficiary_id, day) {
        brand_id -> Uuid,
        campaign_id -> Uuid,
        beneficiary_id -> Uuid,
        day -> Date,
        granted_count -> Int4,
    }
}

diesel::table! {
    reward_totals (brand_id, campaign_id, beneficiary_id) {
        brand_id -> Uuid,
        campaign_id -> Uuid,
        beneficiary_id -> Uuid,
        granted_count -> Int4,
        policy_version -> Int4,
    }
}

diesel::table! {
    rewards (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        idempotency_key -> Text,
        campaign_id -> Uuid,
        policy_version -> Int4,
        kind -> Text,
        beneficiary_creator_id -> Nullable<Uuid>,
        beneficiary_member_id -> Nullable<Uuid>,
        referee_id -> Nullable<Uuid>,
        conversion_id -> Nullable<Uuid>,
        cause_event_id -> Nullable<Uuid>,
        degree -> Int2,
        amount_minor -> Int8,
        reversed_minor -> Int8,
        currency -> Text,
        state -> Text,
        reason -> Nullable<Text>,
        triggered_at -> Timestamptz,
        releases_at -> Nullable<Timestamptz>,
        settled_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    touchpoints (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        person_id -> Uuid,
        kind -> Text,
        occurred_at -> Timestamptz,
        recorded_at -> Timestamptz,
        creator_id -> Nullable<Uuid>,
        referrer_id -> Nullable<Uuid>,
        link_id -> Nullable<Uuid>,
        campaign_id -> Nullable<Uuid>,
        platform -> Text,
        sub_id -> Nullable<Text>,
        ip_hash -> Nullable<Bytea>,
        device_hash -> Nullable<Bytea>,
        agent_class -> Text,
        has_consent -> Bool,
        decision -> Text,
        channel -> Nullable<Text>,
        ad_clicks -> Nullable<Jsonb>,
        anonymous_hash -> Nullable<Bytea>,
    }
}

diesel::table! {
    webhook_deliveries (brand_id, endpoint_id, seq) {
        brand_id -> Uuid,
        endpoint_id -> Uuid,
        seq -> Int8,
        message_id -> Uuid,
        kind -> Text,
        payload -> Text,
        state -> Text,
        attempt_count -> Int2,
        next_attempt_at -> Nullable<Timestamptz>,
        last_attempt_at -> Nullable<Timestamptz>,
        last_status -> Nullable<Int2>,
        last_error -> Nullable<Text>,
        delivered_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    webhook_endpoints (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        url -> Text,
        kinds -> Array<Nullable<Text>>,
        secret_sealed -> Bytea,
        previous_secret_sealed -> Nullable<Bytea>,
        previous_expires_at -> Nullable<Timestamptz>,
        taken_seq -> Int8,
        created_at -> Timestamptz,
        failing_since -> Nullable<Timestamptz>,
        disabled_at -> Nullable<Timestamptz>,
        disabled_reason -> Nullable<Text>,
    }
}

diesel::table! {
    webhook_sources (brand_id, id) {
        brand_id -> Uuid,
        id -> Uuid,
        slug -> Text,
        name -> Text,
        scheme -> Text,
        secret_sealed -> Bytea,
        previous_secret_sealed -> Nullable<Bytea>,
        previous_expires_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        disabled_at -> Nullable<Timestamptz>,
        last_event_at -> Nullable<Timestamptz>,
        schema_version -> Nullable<Text>,
    }
}
