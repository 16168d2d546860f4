//! The settings of a server that a session can change: which of them our sessions pin, and why.

/// What becomes of a setting in a session of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It has this value, whatever the server, the database and the role say.
    Pin(&'static str),
    /// The same, but as the role has it while views and the like compute.
    Lend(&'static str),
    /// It stays as it is.
    Leave,
}

/// Settings that go one way.
pub(crate) struct Parameter {
    /// Their names, with blanks in between; of those that are pinned, one.
    pub names: &'static str,
    /// What becomes of them.
    pub way: Way,
    /// The types whose text they change, with blanks in between; `*` where they change any text,
    /// or which rows there are.
    pub types: &'static str,
    /// Why.
    pub reason: &'static str,
}

const fn pin(
    names: &'static str,
    value: &'static str,
    types: &'static str,
    reason: &'static str,
) -> Parameter {
    Parameter { names, way: Way::Pin(value), types, reason }
}

const fn lend(
    names: &'static str,
    value: &'static str,
    types: &'static str,
    reason: &'static str,
) -> Parameter {
    Parameter { names, way: Way::Lend(value), types, reason }
}

const fn leave(names: &'static str, reason: &'static str) -> Parameter {
    Parameter { names, way: Way::Leave, types: "", reason }
}

/// The setting that says in which schemas names are looked up.
pub(crate) const SEARCH_PATH: &str = "search_path";

/// The types whose text names objects, with blanks in between.
pub(crate) const NAMES: &str = "regclass regcollation regconfig regdictionary regnamespace regoper \
                     regoperator regproc regprocedure regrole regtype";

/// A setting that changes what comes out or goes in as text, which rows come out, or whether a
/// COMMIT lasts, is pinned; every other one is left to whoever set it.
pub(crate) const PARAMETERS: &[Parameter] = &[
    lend("TimeZone", "UTC", "", "moments are printed in it, and those without an offset read"),
    lend("timezone_abbreviations", "Default", "", "says which offset the word IST stands for"),
    lend("DateStyle", "ISO, YMD", "date timestamp timestamptz", "the form of dates"),
    pin("IntervalStyle", "iso_8601", "interval", "the form of intervals"),
    pin(
        "extra_float_digits",
        "3",
        "float4 float8 point line lseg box path polygon circle",
        "below 1 floats are rounded; types of extensions print all digits at 3 only",
    ),
    pin("lc_monetary", "C", "money", "the point and the currency of money"),
    pin("bytea_output", "hex", "bytea", "the form of bytes"),
    pin("client_encoding", "UTF8", "*", "the bytes of all text"),
    pin("quote_all_identifiers", "off", NAMES, "names of types and objects get quotes"),
    lend(SEARCH_PATH, "", NAMES, "names are found in it, and printed without its schemas"),
    pin("gin_fuzzy_search_limit", "0", "*", "a search by a GIN index gives some of its rows only"),
    pin("array_nulls", "on", "", "without it the element NULL is read as the text NULL"),
    pin("xmloption", "content", "", "says which text is taken as xml"),
    pin("standard_conforming_strings", "on", "", "without it backslashes in our SQL would count"),
    pin("synchronous_commit", "on", "", "below `on` a COMMIT may be gone after a crash"),
    pin("client_min_messages", "notice", "", "what the server has to say of a load is to be heard"),
    leave(
        "lc_messages lc_numeric lc_time default_text_search_config xmlbinary transform_null_equals",
        "only what functions compute depends on them, and that is as the role has it",
    ),
    leave(
        "backslash_quote escape_string_warning",
        "about backslashes in literals; ours have none that means anything",
    ),
    leave(
        "default_transaction_deferrable default_transaction_isolation transaction_deferrable \
         transaction_isolation transaction_read_only",
        "our transactions say what they are",
    ),
    leave("default_transaction_read_only", "a guard against writing, which a load must not lift"),
    leave(
        "row_security session_replication_role event_triggers check_function_bodies \
         restrict_nonsystem_relation_kind",
        "rights, and which triggers run: they are set on purpose; a warning names hidden rows",
    ),
    leave(
        "lock_timeout statement_timeout idle_in_transaction_session_timeout idle_session_timeout \
         transaction_timeout temp_file_limit deadlock_timeout client_connection_check_interval \
         tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval tcp_user_timeout \
         wal_sender_timeout exit_on_error max_stack_depth",
        "limits, which fail loudly; those on idle sessions and long transactions are lifted",
    ),
    leave(
        "default_tablespace temp_tablespaces default_table_access_method default_toast_compression \
         allow_in_place_tablespaces wal_compression",
        "where and how tables lie, not what is in them",
    ),
    leave(
        "zero_damaged_pages ignore_checksum_failure",
        "damaged pages read as empty: only a superuser may set them; a warning tells",
    ),
    leave(
        "geqo geqo_effort geqo_generations geqo_pool_size geqo_seed geqo_selection_bias \
         geqo_threshold constraint_exclusion cursor_tuple_fraction default_statistics_target \
         from_collapse_limit join_collapse_limit jit jit_above_cost jit_inline_above_cost \
         jit_optimize_above_cost jit_expressions jit_tuple_deforming jit_dump_bitcode \
         plan_cache_mode recursive_worktable_factor cpu_index_tuple_cost cpu_operator_cost \
         cpu_tuple_cost effective_cache_size min_parallel_index_scan_size \
         min_parallel_table_scan_size parallel_setup_cost parallel_tuple_cost random_page_cost \
         seq_page_cost enable_async_append enable_bitmapscan enable_distinct_reordering \
         enable_gathermerge enable_group_by_reordering enable_hashagg enable_hashjoin \
         enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material \
         enable_memoize enable_mergejoin enable_nestloop enable_parallel_append \
         enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate \
         enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination \
         enable_seqscan enable_sort enable_tidscan force_parallel_mode debug_parallel_query \
         max_parallel_workers max_parallel_workers_per_gather max_parallel_maintenance_workers \
         parallel_leader_participation synchronize_seqscans operator_precedence_warning",
        "how a query is planned and in which order rows come, not which they are",
    ),
    leave(
        "backend_flush_after effective_io_concurrency maintenance_io_concurrency io_combine_limit \
         io_max_combine_limit file_copy_method hash_mem_multiplier logical_decoding_work_mem \
         maintenance_work_mem work_mem temp_buffers commit_delay commit_siblings wal_init_zero \
         wal_recycle wal_skip_threshold vacuum_buffer_usage_limit vacuum_cost_delay \
         vacuum_cost_limit vacuum_cost_page_dirty vacuum_cost_page_hit vacuum_cost_page_miss \
         vacuum_failsafe_age vacuum_freeze_min_age vacuum_freeze_table_age \
         vacuum_max_eager_freeze_failure_rate vacuum_multixact_failsafe_age \
         vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age vacuum_truncate \
         vacuum_cleanup_index_scale_factor gin_pending_list_limit",
        "memory, disk and upkeep",
    ),
    leave(
        "application_name update_process_title debug_discard_caches debug_pretty_print \
         debug_print_parse debug_print_plan debug_print_rewritten \
         debug_logical_replication_streaming backtrace_functions trace_notify trace_sort \
         wal_consistency_checking log_duration log_error_verbosity log_executor_stats \
         log_lock_failures log_lock_waits log_min_duration_sample log_min_duration_statement \
         log_min_error_statement log_min_messages log_parameter_max_length \
         log_parameter_max_length_on_error log_parser_stats log_planner_stats \
         log_replication_commands log_statement log_statement_sample_rate log_statement_stats \
         log_temp_files log_transaction_sample_rate stats_fetch_consistency track_activities \
         track_cost_delay_timing track_counts track_functions track_io_timing \
         track_wal_io_timing compute_query_id",
        "what is logged and counted",
    ),
    leave(
        "allow_system_table_mods dynamic_library_path extension_control_path extension_destdir \
         local_preload_libraries session_preload_libraries lo_compat_privileges \
         password_encryption scram_iterations md5_password_warnings createrole_self_grant \
         icu_validation_level",
        "libraries, passwords and objects that no connector makes",
    ),
];
