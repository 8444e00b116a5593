"""What the expression of a rule may be: one SQL expression over the columns of one document.

DuckDB parses it; the tree is walked, and what is not known to be harmless is refused. A function is
allowed where its value depends on its arguments alone, is the same to the last bit on every machine,
and is not much larger than they are.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from curation.errors import did_you_mean
from curation.shown import brief

if TYPE_CHECKING:
    import pyarrow as pa

MAX_CHARS = 4000
MAX_DEPTH = 50
_FUNCTIONS = """
+ - * / // % & | ~ << >> xor @ || ~~ !~~ ~~* !~~* ~~~ ^@ like_escape not_like_escape
ilike_escape not_ilike_escape abs sign signbit ceil ceiling floor round round_even trunc even mod
fmod fdiv divide add subtract multiply greatest least gcd lcm sqrt bit_count isnan isinf isfinite
if ifnull nullif coalesce constant_or_null
length len char_length character_length strlen octet_length length_grapheme lower lcase upper
ucase trim ltrim rtrim left right substring substr overlay reverse contains starts_with ends_with
prefix suffix instr strpos position concat concat_ws split_part string_split str_split split
string_to_array ascii ord unicode translate strip_accents nfc_normalize bit_length
regexp_matches regexp_full_match regexp_extract regexp_extract_all regexp_split_to_array
string_split_regex str_split_regex
array_length list_value list_pack list_contains list_has array_contains array_has list_has_any
list_has_all array_has_any array_has_all list_position list_indexof array_position list_extract
list_element element_at array_extract list_slice array_slice list_distinct list_unique
list_concat list_cat list_intersect list_sort list_reverse array_reverse list_count list_sum
list_min list_max list_first list_last list_any_value list_bool_and list_bool_or list_product
list_avg flatten cardinality map_keys map_values map_contains map_extract struct_extract
struct_extract_at row
year month day hour minute second quarter decade century dayofweek dayofmonth dayofyear weekday
isodow isoyear week weekofyear yearweek dayname monthname date_part datepart date_diff datediff
date_sub datesub date_trunc datetrunc last_day make_date make_timestamp strptime try_strptime
strftime to_days to_months to_years to_hours to_minutes to_seconds to_weeks epoch epoch_ms
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
_TYPES = """
bool boolean logical tinyint int1 smallint int2 short integer int int4 signed bigint int8 long
hugeint utinyint usmallint uinteger ubigint uhugeint float float4 real double float8 numeric
decimal dec varchar char bpchar text string date time timestamp datetime interval
"""
TYPES = frozenset(_TYPES.split())
_CLASSES = "COLUMN_REF CONSTANT COMPARISON CONJUNCTION OPERATOR CASE CAST BETWEEN FUNCTION TYPE"
CLASSES = frozenset(_CLASSES.split())
_OPERATORS = """
COMPARE_IN COMPARE_NOT_IN OPERATOR_NOT OPERATOR_IS_NULL OPERATOR_IS_NOT_NULL OPERATOR_COALESCE
OPERATOR_NULLIF OPERATOR_TRY ARRAY_EXTRACT ARRAY_SLICE STRUCT_EXTRACT ARRAY_CONSTRUCTOR
"""
OPERATORS = frozenset(_OPERATORS.split())
# Parts of an expression that are refused, and what each is called.
_REFUSED = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window function",
    "LAMBDA": "a lambda",
    "PARAMETER": "a parameter",
    "STAR": "a star",
    "COLLATE": "a collation",
    "POSITIONAL_REFERENCE": "a column by its number",
    "DEFAULT": "DEFAULT",
}
_WHY = {
    "differs in the last bits between machines": "ln log log2 log10 exp pow power ^ ** cbrt sin cos "
    "tan asin acos atan atan2 gamma lgamma",
    "looks at more than one document": "sum avg count count_star min max median mode quantile "
    "any_value first last list array_agg string_agg stddev variance unnest",
    "may make very long text or lists": "repeat lpad rpad range generate_series replace "
    "regexp_replace printf format",
    "is not the same at every run": "random uuid gen_random_uuid now today current_date age "
    "nextval currval current_setting",
}
_REASONS = {function: why for why, names in _WHY.items() for function in names.split()}


def check(
    name: str,
    expression: str,
    columns: Mapping[str, pa.DataType | None],
    *,
    more_columns: bool = False,
    kind: str = "rule",
) -> frozenset[str]:
    """The columns that a rule reads. Raises ValueError, with the rule's name, for one that is refused.

    A column whose type is None is known by name only. With `more_columns` other names are taken too:
    they are known later. Where the type of every column is known the expression must be a Boolean.
    `kind` is what errors call the expression.

    >>> import pyarrow as pa
    >>> sorted(check("short", "words < 50 and lines > 3", {"words": pa.int64(), "lines": pa.int64()}))
    ['lines', 'words']
    """
    try:
        references = _references(expression)
        known = {column.lower(): column for column in columns}
        if twice := [column for column in columns if known[column.lower()] != column]:
            raise ValueError(
                f"columns {twice[0]} and {known[twice[0].lower()]} differ only in case; rename one"
            )
        for reference in references:
            if reference[0].lower() not in known and not more_columns:
                hint = did_you_mean(reference[0], sorted(columns))
                if "extra" in known and "did you mean" not in hint:
                    hint = f"; a column of your own is extra.{reference[0][:80]}{hint}"
                raise ValueError(f"no column {brief(reference[0])}{hint}")
            _check_field(reference, columns.get(known.get(reference[0].lower(), "")))
        used = frozenset(known.get(r[0].lower(), r[0]) for r in references)
        types = {column: columns.get(column) for column in sorted(used)}
        if None not in types.values():
            _check_type(expression, {k: v for k, v in types.items() if v is not None})
    except ValueError as error:
        raise ValueError(f"{kind} {brief(name)}: {error}") from error
    return used


def columns_of(name: str, expression: str) -> frozenset[str]:
    """The columns that a rule reads, as it writes them, whatever columns there are.

    Raises ValueError for one that is refused whatever columns there are.

    >>> sorted(columns_of("old", "extra.stars < 3 or words is null"))
    ['extra', 'words']
    """
    return check(name, expression, {}, more_columns=True)


def _check_field(reference: tuple[str, ...], kind: pa.DataType | None) -> None:
    """Raise ValueError where a dotted name is no field of a struct."""
    import pyarrow as pa

    for place, part in enumerate(reference[1:], 1):
        if kind is None:
            return
        if not pa.types.is_struct(kind):
            raise ValueError(f"{'.'.join(reference[:place])} is {kind} and has no fields")
        fields = {kind.field(i).name.lower(): kind.field(i) for i in range(kind.num_fields)}
        if part.lower() not in fields:
            hint = did_you_mean(part, [f.name for f in fields.values()])
            raise ValueError(f"{'.'.join(reference[:place])} has no field {brief(part)}{hint}")
        kind = fields[part.lower()].type


def _check_type(expression: str, types: Mapping[str, pa.DataType]) -> None:
    import pyarrow as pa

    from curation.store.query import expression_type

    kind = expression_type(expression, pa.schema(list(types.items())))
    if kind != "BOOLEAN":
        raise ValueError(f"a Boolean expected, such as words < 50, got {kind.strip(chr(34))}")


@functools.lru_cache(maxsize=1024)
def _references(expression: str) -> tuple[tuple[str, ...], ...]:
    """The names of columns in an expression, those of fields as (column, field, ...).

    Raises ValueError where a part of it is refused, or where it reads no column.
    """
    if len(expression) > MAX_CHARS:
        raise ValueError(f"at most {MAX_CHARS:,} characters expected, got {len(expression):,}")
    if bad := [
        c for c in expression if (c < " " and c not in "\n\r\t") or "\ud800" <= c <= "\udfff"
    ]:
        raise ValueError(f"text without control characters expected, got {bad[0]!r}")
    references = []
    for node in _nodes(tree(expression)):
        _check_node(node)
        if node["class"] == "COLUMN_REF":
            references.append(tuple(node["column_names"]))
    if not references:
        raise ValueError(f"an expression that reads a column expected, got {brief(expression)}")
    return tuple(references)


def tree(expression: str) -> Any:
    """The syntax tree of a single expression. Raises ValueError where there is more, or less."""
    from curation.store.query import parsed_select

    bare = parsed_select("SELECT 1")
    # Between brackets it is evaluated; without them an unpaired bracket shows.
    for text in (expression, f"(\n{expression}\n)"):
        statements = parsed_select(f"SELECT {text}")
        nodes = [statement["node"] for statement in statements]
        values = [node.pop("select_list", []) for node in nodes]
        if len(values) != 1 or len(values[0]) != 1 or not _same_query(nodes[0], bare[0]["node"]):
            raise ValueError(f"a single expression expected, got {brief(expression)}")
    if values[0][0]["alias"]:
        raise ValueError("an expression without a name (AS) expected")
    return values[0][0]


def _same_query(node: Mapping[str, Any], bare: Mapping[str, Any]) -> bool:
    return {**node, "select_list": 0} == {**bare, "select_list": 0}


def _nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Every node of an expression. Raises ValueError where it is too deep."""
    waiting = [(tree, 0)]
    while waiting:
        part, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"at most {MAX_DEPTH} levels expected, got more; split the rule")
        if isinstance(part, dict):
            if "class" in part:
                yield part
                depth += 1
            waiting += [(value, depth) for value in part.values()]
        elif isinstance(part, list):
            waiting += [(value, depth) for value in part]


def _check_node(node: Mapping[str, Any]) -> None:
    """Raise ValueError for a part of an expression that a rule may not have."""
    kind = node["class"]
    if kind not in CLASSES or (kind == "OPERATOR" and node["type"] not in OPERATORS):
        what = _REFUSED.get(kind, node["type"].lower())
        raise ValueError(f"{what} is not allowed; a rule reads the columns of one document")
    if kind == "TYPE" and (node["type_name"].lower() not in TYPES or node["schema"]):
        raise ValueError(f"no type {brief(node['type_name'])} in rules; known: {_listed(TYPES)}")
    if kind == "FUNCTION":
        _check_function(node)


def _check_function(node: Mapping[str, Any]) -> None:
    name = node["function_name"]
    if node["schema"] or node["catalog"]:
        raise ValueError(f"{name}: a function is written {name}(column), without a dot before it")
    if name.lower() not in FUNCTIONS:
        why = _REASONS.get(name.lower())
        near = did_you_mean(name, sorted(FUNCTIONS)).partition("; known")[0]
        hint = f": it {why}" if why else near or "; docs/rules.md lists those that are"
        raise ValueError(f"function {brief(name)} is not allowed in rules{hint}")
    if node["filter"] or node["distinct"] or node["order_bys"]["orders"]:
        raise ValueError(f"{name}: no FILTER, DISTINCT or ORDER BY expected")


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
