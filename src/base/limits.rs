//! Every cap in one place: queues, lists, bodies, depths, pages, retries, deadlines. Units stand last in each name.

/// Minor units of a single amount: far above any sale, and so far below 64 bits that the sums of thousands of them still fit.
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000_000;

/// Rows of a page when the caller does not say.
pub const PAGE_SIZE_DEFAULT: i32 = 20;
/// Rows of a page at most.
pub const PAGE_SIZE_MAX: i32 = 500;

/// A webhook's or a GraphQL request's body.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Events in one array of a webhook or of `ingestEvents`.
pub const EVENTS_PER_REQUEST_MAX: usize = 1_000;
/// `properties` of one event, as JSON text.
pub const PROPERTIES_BYTES_MAX: usize = 4 * 1024;
/// The name of a property that is kept, or asked for.
pub const PROPERTY_NAME_BYTES_MAX: usize = 64;
/// The value of a property that is kept, or asked for.
pub const PROPERTY_VALUE_BYTES_MAX: usize = 255;
/// Any single text field of an event.
pub const EVENT_TEXT_BYTES_MAX: usize = 512;
/// The URL of an event: addresses with the marks of several advertising platforms grow long.
pub const EVENT_URL_BYTES_MAX: usize = 8 * 1024;
/// Advertising platforms' names of a click that are kept of one event.
pub const AD_CLICKS_MAX: usize = 8;
/// An address that a link or a campaign leads to.
pub const URL_BYTES_MAX: usize = 2_048;
/// A host name, as the domain name system allows.
pub const HOST_BYTES_MAX: usize = 253;
/// Hosts that a brand's links may lead to.
pub const ALLOWED_HOSTS_MAX: usize = 100;
/// Hosts under which a brand's links may stand.
pub const LINK_HOSTS_MAX: usize = 20;
/// Identifiers of a brand's app, or certificates that sign it.
pub const APP_IDS_MAX: usize = 10;
/// How long a visit can lead to a likely match of an app's first open.
pub const LIKELY_MATCH_MINUTES: i64 = 30;
/// Links that a likely match is looked for among.
pub const LIKELY_LINKS_MAX: i64 = 100;
/// Visits that are too old for a likely match and are deleted with a new one.
pub const VISITS_PRUNED_MAX: i64 = 100;
/// Pixels of the side of a QR code as an image.
pub const QR_PIXELS_MAX: u32 = 2_048;

/// Webhook sources of one brand.
pub const WEBHOOK_SOURCES_MAX: i64 = 1_000;
/// Bytes of a Standard Webhooks key, as its specification says.
pub const WEBHOOK_KEY_BYTES_MIN: usize = 24;
/// The longest such key.
pub const WEBHOOK_KEY_BYTES_MAX: usize = 64;
/// Signatures of one Standard Webhooks request: two during a rotation, and some of versions that we do not read.
pub const WEBHOOK_SIGNATURES_MAX: usize = 5;
/// How far the clock of a Standard Webhooks sender may be from ours: the tolerance of its specification.
pub const WEBHOOK_TOLERANCE_SECONDS: u64 = 300;
/// A Standard Webhooks sender's own name of a request.
pub const DELIVERY_ID_BYTES_MAX: usize = 255;
/// How long a hub's lease is taken to last where it does not say: five days, as YouTube's hub has it.
pub const LEASE_SECONDS_DEFAULT: u32 = 5 * 24 * 3_600;
/// How long it may last at most.
pub const LEASE_SECONDS_MAX: u32 = 30 * 24 * 3_600;
/// A version of a platform's format.
pub const VERSION_BYTES_MAX: usize = 64;
/// How long the secret before a rotation still counts when the caller does not say.
pub const SECRET_OVERLAP_SECONDS_DEFAULT: i64 = 24 * 3_600;
/// How long it may still count at most: a week is longer than senders try again.
pub const SECRET_OVERLAP_SECONDS_MAX: i64 = 7 * 24 * 3_600;

/// Failures in a row after which a platform is not asked for a while.
pub const BREAKER_FAILURES_MAX: u32 = 5;
/// How long it is not asked the first time; each time in a row twice as long.
pub const BREAKER_WAIT_SECONDS_MIN: i64 = 15;
/// How long it is not asked at most.
pub const BREAKER_WAIT_SECONDS_MAX: i64 = 600;
/// How long a single call on trial may be out before another may try.
pub const BREAKER_TRIAL_SECONDS_MAX: i64 = 60;
/// How often a platform is asked the same thing when it does not answer.
pub const CALL_TRIES_MAX: u32 = 3;
/// How long one try may take, where the configuration does not say.
pub const CALL_MS: u64 = 5_000;
/// What that can be set to at least.
pub const CALL_MS_MIN: u64 = 100;
/// What that can be set to at most.
pub const CALL_MS_MAX: u64 = 60_000;
/// How long somebody who connects an account waits for its platform, which is longer than one try: what did not answer counts as failed.
pub const CONNECT_MS_MAX: u64 = 6_000;
/// How long the first pause between two tries lasts; each is twice as long as the one before, plus up to half of that by chance.
pub const CALL_PAUSE_MS: u64 = 200;
/// What a platform may answer.
pub const CALL_ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Accounts that one round of the worker asks about, of one brand.
pub const ACCOUNTS_PER_ROUND_MAX: i64 = 50;
/// How old the answer about an account may be before the platform is asked again.
pub const ACCOUNT_HOURS_MAX: i64 = 24;
/// How long after a question that was not answered it is asked again.
pub const ACCOUNT_RETRY_MINUTES: i64 = 60;
/// Leases that one round of the worker asks for, of one brand.
pub const WATCHES_PER_ROUND_MAX: i64 = 50;
/// How long before its end a lease is renewed.
pub const LEASE_HOURS_LEFT_MIN: i64 = 24;
/// How long a hub may take to answer before it is asked again.
pub const LEASE_RETRY_MINUTES: i64 = 60;

/// Endpoints of one brand that webhooks go out to.
pub const WEBHOOK_ENDPOINTS_MAX: i64 = 16;
/// Kinds that one endpoint asks for.
pub const WEBHOOK_KINDS_MAX: usize = 20;
/// Entries of the outbox that become deliveries of one endpoint in one transaction.
pub const DELIVERIES_TAKEN_MAX: i64 = 500;
/// Deliveries that wait for one endpoint; what comes after them waits in the outbox.
pub const DELIVERIES_PENDING_MAX: i64 = 10_000;
/// Deliveries that one turn sends to an endpoint, one after the other.
pub const DELIVERIES_PER_TURN_MAX: usize = 100;
/// Endpoints that one process sends to at the same time.
pub const DELIVERY_TURNS_MAX: usize = 256;
/// How long an endpoint may take to answer.
pub const DELIVERY_MS: u64 = 15_000;
/// How long the rest of its answer is waited for, which nobody reads.
pub const DELIVERY_REST_MS: u64 = 1_000;
/// What an endpoint may answer: it is read so that the connection can be used again, and forgotten.
pub const DELIVERY_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a try may be out before it counts as lost, with the process that made it.
pub const DELIVERY_LEASE_SECONDS: i64 = 60;
/// How long an endpoint may ask to be left alone.
pub const DELIVERY_RETRY_AFTER_SECONDS_MAX: i64 = 24 * 3_600;
/// How long every try may fail before an endpoint is disabled: less than the schedule of one delivery takes.
pub const ENDPOINT_FAILING_HOURS_MAX: i64 = 72;
/// Days for which deliveries are kept that are done with.
pub const DELIVERY_DAYS_KEPT: i64 = 30;
/// Deliveries that are forgotten at once.
pub const DELIVERIES_FORGOTTEN_MAX: i64 = 10_000;
/// Deliveries that one replay sends again.
pub const DELIVERIES_REPLAYED_MAX: i64 = 1_000;

/// Events that wait for the group commit before the door answers 503.
pub const INGEST_QUEUE_MAX: usize = 10_000;
/// Events of one group commit.
pub const INGEST_BATCH_MAX: usize = 256;
/// How long the first event of a group waits for company.
pub const INGEST_WAIT_MS: u64 = 2;

/// Requests per second of one webhook source, where the configuration does not say.
pub const SOURCE_REQUESTS_PER_SECOND: u32 = 50_000;
/// GraphQL requests per minute of one API key, where the configuration does not say.
pub const KEY_REQUESTS_PER_MINUTE: u32 = 600_000;
/// Cost per minute of one API key's GraphQL documents, where the configuration does not say: about what two cores can do.
pub const KEY_COST_PER_MINUTE: u32 = 60_000_000;
/// Recorded clicks per minute on one brand's links from one address, where the configuration does not say. A mobile carrier puts
/// thousands of people behind one address.
pub const ADDRESS_CLICKS_PER_MINUTE: u32 = 6_000;
/// What any of these can be set to per second: the limiter counts in microseconds.
pub const RATE_PER_SECOND_MAX: u32 = 1_000_000;
/// How long a request waits for Redis to count it, where the configuration does not say.
pub const LIMITER_WAIT_MS: u32 = 5;
/// How long it may be told to wait.
pub const LIMITER_WAIT_MS_MAX: u32 = 10_000;
/// Subjects of one rate limit that a process keeps count of. Those who find no room are not limited while Redis is away.
pub const LIMITER_SUBJECTS_MAX: usize = 100_000;

/// Events that the worker takes in one transaction.
pub const WORKER_BATCH_MAX: i64 = 1_000;
/// Histories that events join to one person: a user id that joins more is one that many people share, such as a till's or a guest's.
pub const HISTORIES_PER_PERSON_MAX: i64 = 1_000;
/// Conversions that the worker judges at a time where its batch holds fewer events: each may have as many touches as are considered.
pub const JUDGED_TOGETHER_MIN: usize = 100;
/// How often the worker tries an event, in ever smaller company, before it is buried.
pub const WORKER_ATTEMPTS_MAX: i16 = 5;
/// How many times fewer events a try takes than the one that failed: 1,000, 100, 10, and then the event alone, twice.
pub const WORKER_NARROWING: i64 = 10;
/// Days for which the log's tables are made ahead.
pub const LOG_DAYS_AHEAD: u64 = 3;
/// Days for which an event's keys stop a second one: far beyond any sender's retries.
pub const EVENT_KEY_DAYS: i64 = 90;
/// Keys that are pruned at once.
pub const EVENT_KEYS_PRUNED_MAX: i64 = 10_000;
/// Shards of the log; a brand belongs to one.
pub const SHARD_COUNT: i16 = 16;

/// Events that one ruling takes in again or gives up.
pub const REPLAY_EVENTS_MAX: usize = 1_000;
/// Events of a ruling that are told one by one with the reason why they could not be used again.
pub const REPLAY_FAILURES_MAX: usize = 20;
/// Bytes of the reason that a ruling gives.
pub const RULING_REASON_BYTES_MAX: usize = 500;

/// How often a transaction is tried when the database asks for it (deadlock, serialisation, lost connection).
pub const TRANSACTION_ATTEMPTS_MAX: u32 = 5;
/// Statement deadline of requests from the API.
pub const STATEMENT_TIMEOUT_MS: u64 = 10_000;
/// How long a process may think within a transaction. One that is stopped or cut off holds a shard, and every reader of the log below
/// its transaction, for as long.
pub const IDLE_IN_TRANSACTION_MS: u64 = 5_000;

/// Transfers of the ledger's chain that are read together.
pub const CHAIN_ROWS_MAX: i64 = 5_000;

/// Links in one `generateLinks`.
pub const LINKS_PER_REQUEST_MAX: usize = 1_000;
/// Lifetime of a link when the caller does not say: 7 days.
pub const LINK_TTL_SECONDS_DEFAULT: i64 = 7 * 24 * 3_600;
/// Lifetime of a link at most: 5 years.
pub const LINK_TTL_SECONDS_MAX: i64 = 5 * 365 * 24 * 3_600;

/// Levels after which the paths of members start anew (`docs/quirks.md` says why a path cannot simply grow).
pub const SEGMENT_DEPTH: i32 = 63;
/// Days for which a downline's activity is kept: twice what is asked for.
pub const ACTIVITY_DAYS_KEPT: i64 = 62;
/// How long the move of a subtree may take: a million members are rewritten at about 20,000 a second.
pub const MOVE_SECONDS_MAX: u64 = 600;
/// Bytes of the reason of a move.
pub const MOVE_REASON_BYTES_MAX: usize = 500;
/// Moves that are listed with a member, the latest.
pub const MOVES_LISTED_MAX: i64 = 100;
/// Referral hops that a tree query or an up-line may ask for.
pub const HOPS_MAX: i32 = 100;
/// Ancestors of one answer, over all members that it asks about.
pub const ANCESTORS_MAX: usize = 20_000;
/// Nodes of one `referralTree` answer.
pub const TREE_NODES_MAX: usize = 2_000;
/// Lines of one payout; what is left is for the next one.
pub const PAYOUT_LINES_MAX: i64 = 10_000;
/// Bytes of the reason why a payout was canceled, has failed, or was approved although alerts weigh on it.
pub const PAYOUT_REASON_BYTES_MAX: usize = 500;
/// Bytes of a payment provider's own name of a payment.
pub const PROVIDER_REFERENCE_BYTES_MAX: usize = 255;
/// Conditions of a reward policy's activation.
pub const ACTIVATION_CONDITIONS_MAX: usize = 10;
/// Acts of one person that are looked through for its activation, the earliest.
pub const ACTS_PER_PERSON_MAX: i64 = 10_000;
/// Degrees of a reward policy.
pub const REWARD_DEGREES_MAX: usize = 10;
/// Tiers of a reward policy, of all degrees.
pub const REWARD_TIERS_MAX: usize = 50;
/// Degrees of the referral up-line that an attribution policy may credit.
pub const UPLINE_DEGREES_MAX: usize = 3;
/// Conversions of one report that are judged again, since no sums of their hours are kept.
pub const REPORT_CONVERSIONS_MAX: usize = 100_000;
/// Conversions of a report that are read together.
pub const REPORT_CHUNK_CONVERSIONS: i64 = 2_000;
/// Stretches of time whose conversions are looked for together.
pub const REPORT_CHUNK_STRETCHES: usize = 64;
/// Marks of one hour that are left to stand: more say nothing more.
pub const REPORT_MARKS_PER_HOUR_MAX: i64 = 100;
/// Days of a brand whose sums are kept in one turn of the worker.
pub const REPORT_DAYS_PER_TURN_MAX: usize = 10;
/// Different paths of people who did not convert, of one report.
pub const REPORT_PATHS_MAX: i64 = 100_000;
/// Activations and conversions of one simulation.
pub const SIMULATION_CAUSES_MAX: usize = 1_000_000;
/// Activations or conversions of a simulation that are read together.
pub const SIMULATION_CHUNK_CAUSES: i64 = 2_000;
/// Groups of one report.
pub const REPORT_ROWS_MAX: usize = 1_000;
/// Channels whose removal effects are worked out together: the time grows with their third power, to about a second.
pub const MARKOV_CHANNELS_MAX: usize = 500;
/// Merges that are listed with a conversion's explanation, the oldest.
pub const MERGES_LISTED_MAX: i64 = 200;
/// Rows of an export that are in memory at a time.
pub const EXPORT_PAGE_ROWS: i64 = 5_000;
/// Conversions of one trial of a drafted policy that is streamed with its progress.
pub const SIMULATION_CONVERSIONS_MAX: u64 = 10_000_000;
/// Trials that a process works out at once; others wait.
pub const SIMULATIONS_MAX: usize = 2;
/// Conversions that what channels are worth is computed from, the latest: about a second of the worker's time.
pub const DATA_DRIVEN_CONVERSIONS_MAX: i64 = 10_000;
/// Touches of one campaign that are looked through for the paths of people who did not buy, the latest.
pub const DATA_DRIVEN_TOUCHES_MAX: i64 = 100_000;
/// Different paths of people who did not buy.
pub const DATA_DRIVEN_PATHS_MAX: i64 = 20_000;
/// Touches of one path, the last.
pub const DATA_DRIVEN_PATH_TOUCHES_MAX: usize = 50;
/// New conversions that a policy may have the next version wait for.
pub const MODEL_CONVERSIONS_MAX: i32 = 1_000_000;
/// Hours of a lookback window or a half-life: a year.
pub const LOOKBACK_HOURS_MAX: i32 = 8_760;
/// Touchpoints of one person that attribution considers, the latest first.
pub const TOUCHPOINTS_PER_PERSON_MAX: i64 = 1_000;

/// Nesting of a GraphQL document. The standard introspection query, which tools send, nests 15 levels.
pub const GRAPHQL_DEPTH_MAX: usize = 15;
/// Cost of a GraphQL document: one per field, times the page size of each list around it.
pub const GRAPHQL_COST_MAX: usize = 50_000;
/// Aliases in a GraphQL document.
pub const GRAPHQL_ALIASES_MAX: usize = 30;
/// Fields at the root of a GraphQL operation.
pub const GRAPHQL_ROOT_FIELDS_MAX: usize = 30;
/// Directives on one field.
pub const GRAPHQL_DIRECTIVES_MAX: usize = 5;
/// Tokens of a GraphQL document.
pub const GRAPHQL_TOKENS_MAX: usize = 4_000;
/// Bytes of a GraphQL document.
pub const GRAPHQL_DOCUMENT_BYTES_MAX: usize = 32 * 1024;
/// Operations in one document.
pub const GRAPHQL_OPERATIONS_MAX: usize = 10;
/// Fields of a GraphQL document after its fragments are spread out.
pub const GRAPHQL_FIELDS_MAX: usize = 5_000;
/// `__schema` and `__type` in one operation.
pub const GRAPHQL_INTROSPECTIONS_MAX: usize = 5;
/// Lists of types inside each other in an introspection: each level multiplies the answer by the size of the schema.
pub const GRAPHQL_INTROSPECTION_LISTS_MAX: usize = 2;
/// Nested brackets of a GraphQL document, counted before it is parsed: the parser recurses.
pub const GRAPHQL_BRACKETS_MAX: usize = 64;
/// Identifiers of one `nodes(ids:)`.
pub const NODES_PER_REQUEST_MAX: usize = 100;

/// Time to `connection_init` on a WebSocket.
pub const SOCKET_INIT_SECONDS: u64 = 10;
/// Subscriptions on one WebSocket.
pub const SOCKET_SUBSCRIPTIONS_MAX: usize = 20;
/// WebSockets that one API key may hold open.
pub const SOCKETS_PER_KEY_MAX: usize = 50;
/// One WebSocket message.
pub const SOCKET_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Time to the end of a request's headers.
pub const HEADER_READ_SECONDS: u64 = 10;
/// Time to the end of a request's body.
pub const BODY_READ_SECONDS: u64 = 30;

/// Open TCP connections of one process; more wait in the listen queue.
pub const CONNECTIONS_MAX: usize = 8_192;
/// How long running requests may take to end when the process stops.
pub const SHUTDOWN_GRACE_SECONDS: u64 = 10;
/// How often a long connection checks that its key still lives.
pub const KEY_CHECK_SECONDS: u64 = 30;
/// Silence on a WebSocket after which we ping; twice this without an answer closes it.
pub const SOCKET_PING_SECONDS: u64 = 20;

/// Entries that the outbox relay keeps in a brand's Redis stream; older ones are read from PostgreSQL.
pub const STREAM_LENGTH_MAX: u64 = 10_000;

/// Intervals of one cohort query.
pub const COHORTS_MAX: usize = 400;
/// Cohorts of one answer when they are split by segment.
pub const COHORT_SEGMENTS_MAX: usize = 2_000;
/// Windows of one cohort query.
pub const COHORT_WINDOWS_MAX: usize = 10;
/// Days of one cohort window.
pub const COHORT_WINDOW_DAYS_MAX: i32 = 365;

/// Bytes of the note that a fraud review leaves.
pub const REVIEW_NOTE_BYTES_MAX: usize = 2_000;
/// Rows that a subscription reads in one statement.
pub const FEED_BATCH_MAX: i64 = 200;
/// Rows of one imported file.
pub const IMPORT_ROWS_MAX: usize = 1_000_000;
/// Bytes of one imported file of rows, which is held in memory.
pub const IMPORT_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Rows of an import that share one transaction.
pub const IMPORT_CHUNK_ROWS: usize = 5_000;
/// Members above the rows of an import that share one transaction, each counted for each row below it in its segment.
pub const IMPORT_CHUNK_LEVELS: usize = 40_000;
