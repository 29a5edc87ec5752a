"""The fields of Alma's records that an update may change, from the data dictionaries of its API (rest_item, rest_user,
rest_bib): what is in none of these lists and not in the record either is dropped without a word.
"""


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ITEM_FIELDS = _names("""
    barcode copy_id policy provenance description replacement_cost library location pages pieces
    physical_material_type po_line issue_date is_magnetic arrival_date expected_arrival_date year_of_issue
    enumeration_a enumeration_b enumeration_c enumeration_d enumeration_e enumeration_f enumeration_g enumeration_h
    chronology_i chronology_j chronology_k chronology_l chronology_m break_indicator pattern_type linking_number
    type_of_unit receiving_operator inventory_number inventory_date inventory_price alternative_call_number
    alternative_call_number_type storage_location_id public_note fulfillment_note internal_note_1 internal_note_2
    internal_note_3 statistics_note_1 statistics_note_2 statistics_note_3 physical_condition committed_to_retain
    retention_reason retention_note
""")
ITEM_OUTPUT = frozenset(
    _names("""
    pid creation_date modification_date base_status awaiting_reshelving reshelving_time requested process_type
    work_order_type work_order_at item_loan
""")
)
"""What an item says and no update changes."""
HOLDING_OF_ITEM = _names("""
    copy_id in_temp_location temp_library temp_location temp_call_number_type temp_call_number temp_call_number_source
    temp_policy due_back_date
""")
USER_FIELDS = _names("""
    record_type primary_id first_name middle_name last_name pin_number user_title job_category job_description gender
    user_group campus_code web_site_url cataloger_level preferred_language birth_date expiry_date purge_date
    account_type external_id password force_password_change status researcher pref_first_name pref_middle_name
    pref_last_name contact_info user_identifier user_role user_block user_note user_statistic proxy_for_user rs_library
    library_notice
""")
USER_OVERRIDDEN = frozenset(
    _names("""
    user_group job_category pin_number preferred_language campus_code rs_library user_title library_notice
    pref_first_name pref_middle_name pref_last_name cataloger_level
""")
)
"""Of an external user these stay as they are unless `override` names them."""
OVERRIDE_NAMES = {"rs_libraries": "rs_library", "library_notices": "library_notice"}
"""Where `override` has another name than the JSON."""
BIB_ELEMENTS = _names("""
    suppress_from_publishing suppress_from_external_search sync_with_oclc sync_with_libraries_australia
    cataloging_level brief_level
""")
