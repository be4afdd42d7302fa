/**
 * The closed lists: functions, types and operators a statement may name. All are pure, reach nothing outside the rows at hand and
 * change nothing of the session. Left out on purpose: whatever builds huge values from small ones (repeat, lpad), reads the
 * catalog or settings, takes locks, sleeps, or runs a text as SQL (query_to_xml, ts_stat).
 */

function words(...lines: string[]): ReadonlySet<string> {
  return new Set(lines.join(' ').split(' '));
}

export const FUNCTIONS = words(
  // aggregates
  'count sum avg min max bool_and bool_or every bit_and bit_or array_agg string_agg json_agg jsonb_agg',
  'json_object_agg jsonb_object_agg any_value stddev stddev_pop stddev_samp variance var_pop var_samp mode',
  'percentile_cont percentile_disc',
  // windows
  'row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value',
  // texts
  'lower upper initcap length char_length character_length octet_length substring substr left right trim btrim ltrim',
  'rtrim replace translate reverse split_part concat concat_ws position strpos starts_with overlay ascii chr',
  'regexp_replace regexp_match regexp_matches regexp_like regexp_count regexp_substr regexp_split_to_array',
  'string_to_array array_to_string like_escape similar_to_escape md5 sha256 encode decode to_hex',
  // numbers
  'abs ceil ceiling floor round trunc mod div power sqrt exp ln log sign random width_bucket to_number',
  // time
  'now clock_timestamp statement_timestamp transaction_timestamp date_trunc date_part date_bin extract age to_char',
  'to_date to_timestamp make_date make_time make_timestamp make_timestamptz make_interval justify_days',
  'justify_hours justify_interval isfinite timezone overlaps generate_series',
  // json
  'to_json to_jsonb row_to_json json_build_object jsonb_build_object json_build_array jsonb_build_array json_object',
  'jsonb_object jsonb_set jsonb_insert jsonb_strip_nulls json_strip_nulls jsonb_pretty jsonb_array_elements',
  'jsonb_array_elements_text json_array_elements json_array_elements_text jsonb_each jsonb_each_text json_each',
  'json_each_text jsonb_object_keys json_object_keys jsonb_typeof json_typeof jsonb_array_length json_array_length',
  'jsonb_extract_path jsonb_extract_path_text json_extract_path json_extract_path_text jsonb_path_exists',
  'jsonb_path_query jsonb_path_query_array jsonb_path_query_first',
  // arrays, ids, addresses
  'array_length array_position array_positions array_append array_prepend array_cat array_remove array_replace',
  'cardinality unnest gen_random_uuid uuidv4 uuidv7 host family masklen network',
);

export const TYPES = words(
  'text varchar bpchar int2 int4 int8 numeric float4 float8 bool date time timetz timestamp timestamptz interval json',
  'jsonb uuid bytea inet cidr',
  // PostgreSQL knows these as the type of a new column only; each makes a sequence.
  'serial serial2 serial4 serial8 smallserial bigserial',
);

export const OPERATORS = words(
  '= <> < > <= >= + - * / % ^ || ~ ~* !~ !~* ~~ ~~* !~~ !~~* -> ->> #> #>> #- @> <@ && ? ?| ?& @? @@ | & # << >> <<= >>=',
);

/** The parse tree spells BETWEEN as an operator too. */
export const BETWEEN_OPERATORS: ReadonlySet<string> = new Set([
  'BETWEEN',
  'NOT BETWEEN',
  'BETWEEN SYMMETRIC',
  'NOT BETWEEN SYMMETRIC',
]);

/**
 * Functions of PostgreSQL that take any row at all and are not among FUNCTIONS. `items.pg_typeof` calls pg_typeof(items) unless
 * items has a column of that name, so these names never stand after a dot. A test compares the list with the server's catalog.
 */
export const ROW_FUNCTIONS = words(
  'any_out anycompatible_out anycompatiblenonarray_out anyelement_out anynonarray_out hash_record json_agg_strict',
  'jsonb_agg_strict num_nonnulls num_nulls pg_collation_for pg_column_compression pg_column_size',
  'pg_column_toast_chunk_id pg_restore_attribute_stats pg_restore_relation_stats pg_typeof quote_literal',
  'quote_nullable record_out record_send',
);

/** `current_timestamp` and its kind; not current_user, session_user or current_schema. */
export const CLOCKS = words(
  'SVFOP_CURRENT_DATE SVFOP_CURRENT_TIME SVFOP_CURRENT_TIME_N SVFOP_CURRENT_TIMESTAMP SVFOP_CURRENT_TIMESTAMP_N',
  'SVFOP_LOCALTIME SVFOP_LOCALTIME_N SVFOP_LOCALTIMESTAMP SVFOP_LOCALTIMESTAMP_N',
);
