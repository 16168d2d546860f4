"""Makes expressions and rows, and computes their values with the Singer SDK: SEED COUNT."""

import ast
import json
import random
import sys
import warnings

warnings.filterwarnings("ignore")
from singer_sdk.mapper import CustomStreamMap  # noqa: E402
from singer_sdk.singerlib.json import deserialize_json  # noqa: E402

R = random.Random(int(sys.argv[1]))
COUNT = int(sys.argv[2])
C = R.choice


def kinds(word, **more):
    return {"type": [word, "null"], **more}


SCHEMA = {"type": "object", "properties": {
    "id": {"type": "integer"}, "big": kinds("integer"), "price": kinds("number"),
    "ok": kinds("boolean"), "name": kinds("string"), "mail": kinds("string"),
    "day": kinds("string", format="date"), "at": kinds("string", format="date-time"),
    "tags": kinds("array"), "data": kinds("object"), "v": kinds("string"),
}}
CONFIG = {"salt": "sält", "n": 3, "f": 0.25, "list": ["a", "b"], "map": {"k": "v"}, "no": None}
NAMES = ["Ada Lovelace", "", "a", "  x y  ", "naïve Straße", "日本語テキスト", "O'Neil \"q\"",
         "1,234.50", "42", "-7", "2.5", "foo@bar.com", "tab\tnew\nline", "ÀÉ", "True",
         "Ǆ ﬁx ΑΣ İo ß", "٣²四", "a\u2028b\x0bc\xa0\u200b"]
PRICES = ["0.10", "1.50", "-2.75", "3", "1E+2", "0.0000001", "123456789.123456789",
          "99999999999999999999.99", "0.0", "1e-9"]
TIMES = ["2024-02-29T12:34:56+00:00", "1999-12-31T23:59:59.123456Z", "2020-01-01T00:00:00",
         "2021-05-17 20:41:16.5-05:30"]
DATA = [{}, {"a": 1, "b": {"c": "deep"}}, {"k": "v", "n": None, "f": 1.10}, {"a": [1, 2, 3]}]
TAGS = [[], ["a", "b"], [1, 2.5, None], [{"k": "v"}, "z"], ["x", "x", "y"]]


def row(at):
    some = {
        "big": C([10**25, -10**30 + 7, 3, 0, 9007199254740993]), "price": C(PRICES),
        "ok": C([True, False]), "name": C(NAMES),
        "mail": C(["a@b.co", "x.y@Example.COM", "none", "@"]),
        "day": C(["2024-02-29", "1999-12-31", "0001-01-01", "2026-07-04"]), "at": C(TIMES),
        "tags": C(TAGS), "data": C(DATA), "v": C(NAMES),
    }
    made = {"id": at * 7 - 20 if at else 2**63 - 1}
    made.update({name: None if R.random() < 0.15 else value for name, value in some.items()})
    return made


def raw(record):
    """Prices are numbers whose digits count."""
    def text(name, value):
        return value if name == "price" and isinstance(value, str) else json.dumps(value)
    return "{" + ",".join(json.dumps(k) + ":" + text(k, v) for k, v in record.items()) + "}"


INTS = ["id", "big", "3", "0", "-2", "10", "1000000007", "config['n']", "len(name or '')",
        "len(tags or [])", "int(ok or 0)"]
FLOATS = ["2.0", "0.1", "-0.5", "1e16", "1e-5", "float(price or 1)", "config['f']", "float(id)"]
TEXTS = ["name", "mail", "self", "'abc'", "'a b'", "(name or '')", "(mail or 'x')",
         "config['salt']", "str(id)", "str(price)", "record['name']", "record.get('mail','?')",
         "_['name']", "__original_stream_name__", "(data.get('k') if data else '')", "'ä€𝄞'"]
LISTS = ["tags", "(tags or [])", "[1,2,3]", "name.split()", "(mail or '').split('@')",
         "['a','b',id]", "[x for x in (tags or []) if x]", "[str(t) for t in tags or []]",
         "config['list']", "(1,2)"]
TRUTHS = ["ok", "name", "id > 3", "price is None", "name is not None", "mail == 'none'", "not ok",
          "'a' in (name or '')", "'x' in (tags or [])", "id in (1,7)", "'name' in record",
          "'zz' in record", "1 < id <= 255", "data", "big", "name != mail", "day > '2000-01-01'",
          "price == 0.1", "price > 1"]
PARTS = ["a", "", "e", "ß", "xy"]
SPANS = ["1", "-3", "2, -1", "0, 100", "-100, 3", "5, 2", "None, 4"]
WIDTHS = ["", "5", "-8", "08", "+", " ", ".2", "9.3"]
FORMATS = ["%Y-%m-%d %H:%M:%S.%f", "%j %U %W %V %G", "%a %A %b %B", "%y%m%d", "%I%p %z"]


def pick(depth, simple, *made):
    return C(simple) if depth <= 0 or R.random() < 0.15 else C(made)(depth - 1)


def T(d):
    return pick(
        d, TEXTS,
        lambda d: f"{T(d)} + {T(d)}", lambda d: f"({T(d)}).lower()", lambda d: f"({T(d)}).upper()",
        lambda d: f"({T(d)}).strip()", lambda d: f"({T(d)})[{I(0)}:{I(0)}]",
        lambda d: f"({T(d)})[{C(['-1', '0', '5', ':3', ':-2', ':100', '::-1', '::2', '::-3'])}]",
        lambda d: f"({T(d)}).replace({C('ab ')!r}, 'Z')", lambda d: f"str({A(d)})",
        lambda d: f"({T(d)}).{C(['title', 'capitalize', 'swapcase', 'casefold'])}()",
        lambda d: 'f"""a{' + I(0) + '} {{b}} {name}"""',
        lambda d: f"str(({T(d)}).splitlines())", lambda d: f"({T(d)}).zfill({C('390')})",
        lambda d: f"'-'.join({L(d)})",
        lambda d: f"({T(d)}).split({C(['', repr('@'), repr(' '), 'None, 1'])})[{C(['0', '-1'])}]",
        lambda d: f"'%{C(WIDTHS)}s|%{C(WIDTHS)}d|%{C(WIDTHS)}f' % (({A(d)}), ({I(d)}), ({F(d)}))",
        lambda d: f"'%(a)s%%' % {{'a': ({A(d)})}}",
        lambda d: f"md5({T(d)})", lambda d: f"sha256({T(d)})",
        lambda d: f"({T(d)}) if {B(d)} else ({T(d)})", lambda d: f"({T(d)}) or ({T(d)})",
        lambda d: f"json.dumps({C(['name', 'id', 'ok', '[1, 2.5, None, True]', 'float(id)'])})",
        lambda d: f"({T(d)}) * {C(['2', '0', '-1'])}",
        lambda d: f"datetime.datetime.fromisoformat({C(['at', 'day'])}).isoformat()",
        lambda d: f"datetime.datetime.fromisoformat(at).strftime({C(FORMATS)!r})",
        lambda d: "str(datetime.date.fromisoformat(day) + datetime.timedelta(days=-30))",
        lambda d: "str(datetime.datetime.fromisoformat(day) - datetime.timedelta(hours=5))",
    )


def I(d):  # noqa: E743
    return pick(
        d, INTS,
        lambda d: f"({I(d)} {C(['+', '-', '*', '//', '%'])} {I(d)})", lambda d: f"-{I(d)}",
        lambda d: f"int({C(['price or 0', 'name', 'float(id)', 'ok or 0', 'str(id)', '-2.9'])})",
        lambda d: f"len({C([T, L])(d)})", lambda d: f"({T(d)}).count('a')",
        lambda d: f"({T(d)}).find('a')",
        lambda d: f"({T(d)}).{C(['find', 'rfind', 'count'])}({C(PARTS)!r}, {C(SPANS)})",
        lambda d: f"({I(d)} if {B(d)} else {I(d)})",
        lambda d: f"datetime.datetime.fromisoformat(at).{C(['year', 'month', 'day', 'hour'])}",
        lambda d: "(datetime.date.fromisoformat(day) - datetime.date(2020, 1, 1)).days",
    )


def F(d):
    operator = ["+", "-", "*", "/", "//", "%"]
    return pick(
        d, FLOATS,
        lambda d: f"({I(d)} / {I(d)})", lambda d: f"({F(d)} {C(operator)} {C([F, I])(d)})",
        lambda d: f"float({C(['name', 'price', 'id', 'big', 'str(price)'])})",
        lambda d: "price", lambda d: "-price",
        lambda d: f"(price {C(operator)} {C(['price', '3', 'id', '7', 'big'])})",
    )


def B(d):
    return pick(
        d, TRUTHS,
        lambda d: f"({A(d)} {C(['==', '!=', '<', '<=', '>', '>='])} {A(d)})",
        lambda d: f"(not {B(d)})", lambda d: f"({B(d)} and {B(d)})",
        lambda d: f"({B(d)} or {B(d)})",
        lambda d: f"({T(d)}).is{C(['digit', 'numeric', 'alpha', 'alnum', 'title', 'upper'])}()",
        lambda d: f"bool({A(d)})", lambda d: f"({A(d)}) in ({L(d)})",
        lambda d: f"({T(d)}).startswith({C([repr('a'), str(('a', 'A'))])})",
        lambda d: f"({T(d)}).{C(['startswith', 'endswith'])}({C(PARTS)!r}, {C(SPANS)})",
        lambda d: f"(({A(d)}) is not None)",
    )


def L(d):
    return pick(
        d, LISTS,
        lambda d: f"[{A(d)}, {A(d)}]", lambda d: f"({L(d)})[{C(['1:', '-1:', ':1', '::-1'])}]",
        lambda d: f"[{C(['x', 'str(x)', 'x == x', '[x]'])} for x in {L(d)}]",
        lambda d: f"({L(d)} + {L(d)})", lambda d: "json.loads('[1, 2.50, {\"a\": null}]')",
        lambda d: f"[str(x) + str(y) for x in {L(0)} for y in {L(0)} if x != y]",
        lambda d: "[k for k, v in data.items()] if data else []",
    )


def A(d):
    return C([T, T, I, F, B, L])(d)


def value(mapper, text, record):
    """Returns the text of the value; none where there is no value."""
    try:
        return mapper._eval(text, ast.parse(text).body[0], dict(record), "v")
    except Exception as failure:  # noqa: BLE001
        # Only there: we compute with both kinds of numbers, and write both as JSON.
        mixes = "Decimal" in str(failure) and ("float" in str(failure) or "JSON" in str(failure))
        return {"mixes": True} if mixes else None


def main():
    rows = [raw(row(at)) for at in range(12)]
    cases = [f"str({A(C([0, 1, 1, 2, 2, 3]))})" for _ in range(COUNT)]
    mapper = CustomStreamMap(
        stream_alias="s", map_config=CONFIG, faker_config={}, raw_schema=SCHEMA,
        key_properties=[], map_transform={}, flattening_options=None, stream_name="s")
    mapper.fake = None
    mapper.expr_evaluator.functions["len"] = len
    records = [deserialize_json(one) for one in rows]
    values = [[value(mapper, case, record) for record in records] for case in cases]
    print(json.dumps({
        "schema": SCHEMA, "config": CONFIG, "rows": rows, "cases": cases, "values": values}))


main()
