//! Expressions without rows: what Python says of them, and what is refused.

use super::{of_names, str};

#[test]
fn values_are_those_of_python() {
    for (expression, expected) in [
        ("1 / 2", "0.5"),
        ("6 / 3", "2.0"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("7 % -3", "-2"),
        ("-7.5 // 2", "-4.0"),
        ("2 * 9223372036854775807", "18446744073709551614"),
        ("1e16", "1e+16"),
        ("123456789012345.0", "123456789012345.0"),
        ("0.1 + 0.2", "0.30000000000000004"),
        ("0.00001", "1e-05"),
        ("9007199254740992 / 10", "900719925474099.2"),
        ("str(1.0) + str(True) + str(None)", "1.0TrueNone"),
        ("'abc'[1:100]", "bc"),
        ("'abc'[::-1]", "cba"),
        ("'naïve'[-3:].upper()", "ÏVE"),
        ("not ''", "True"),
        ("'' or None or 'x'", "x"),
        ("1 < 2 < 3 < 3", "False"),
        ("'a' if 0 else 'b'", "b"),
        ("[x * 2 for x in [1, 2, 3] if x != 2]", "[2, 6]"),
        ("[[x for x in 'ab'], 1]", "[['a', 'b'], 1]"),
        ("{'a': [1, None]}['a'][-1]", "None"),
        ("'a b  c '.split()", "['a', 'b', 'c']"),
        ("'a b  c '.split(None, 1)", "['a', 'b  c ']"),
        ("'a,b,c'.rsplit(',', 1)", "['a,b', 'c']"),
        ("'-5'.zfill(4) + 'x'.center(4, '*')", "-005*x**"),
        ("'o\\'neil'.title()", "O'Neil"),
        ("md5('')", "d41d8cd98f00b204e9800998ecf8427e"),
        ("json.dumps({'a': 'é', 'b': [1.5, True]})", r#"{"a": "\u00e9", "b": [1.5, true]}"#),
        (
            "datetime.datetime.fromisoformat('2024-02-29T12:00:00Z').isoformat()",
            "2024-02-29T12:00:00+00:00",
        ),
        ("datetime.date(2024, 2, 29) + datetime.timedelta(days=366)", "2025-03-01"),
        (
            "datetime.datetime.strptime('01.02.2024 3:04', '%d.%m.%Y %H:%M').strftime('%j %A')",
            "032 Thursday",
        ),
        ("(datetime.date(2024, 1, 1) - datetime.date(2023, 1, 1)).days", "365"),
        ("datetime.timedelta(hours=-5)", "-1 day, 19:00:00"),
        ("__stream_name__ + '_v2'", "s_v2"),
        ("f'{__stream_name__}_v{1 + 1}' ' {x}' f' {{{None}}}'", "s_v2 {x} {None}"),
        ("rf'{1}\\d'", "1\\d"),
        ("'Ömer İo ß ǆ'.swapcase()", "öMER i̇O SS Ǆ"),
        ("'ﬁx ΑΣ Σ אb aʰb ǆ'.title()", "Fix Ας Σ אB Aʰb ǅ"),
        ("'ßa'.capitalize()", "Ssa"),
        ("'ſtraẞe ΑΣ ı'.casefold()", "strasse ασ ı"),
        (r"'a\x0bb\u2028c\r\nd\x1ce\n'.splitlines()", "['a', 'b', 'c', 'd', 'e']"),
        ("'²'.isdigit() and '１٣'.isdecimal() and '四'.isnumeric()", "True"),
        ("'ⅷ'.isalpha()", "False"),
        ("int('０１२') + int('٣')", "15"),
        (r"['\u00a0\u200b\U000e0001']", r"['\xa0\u200b\U000e0001']"),
        ("json.loads('{\"a\": 1, \"b\": 2, \"a\": 3}')", "{'a': 3, 'b': 2}"),
    ] {
        let value = of_names(expression, "s").unwrap();
        assert_eq!(str(&value).unwrap(), expected, "{expression}");
    }
}

#[test]
fn powers_formats_and_loops_are_those_of_python() {
    for (expression, expected) in [
        ("2 ** 100", "1267650600228229401496703205376"),
        ("[-2 ** 2, (-2) ** 3, 2 ** -1, 2 ** 3 ** 2, (-1) ** 1001]", "[-4, -8, 0.5, 512, -1]"),
        ("4 ** 0.5", "2.0"),
        ("[x + y for x in 'ab' for y in '12']", "['a1', 'a2', 'b1', 'b2']"),
        ("[y for x in [[1, 2], [3]] if len(x) > 1 for y in x if y > 1]", "[2]"),
        ("['naïve'.find('v', 2), 'abca'.find('a', 1), 'abc'.find('a', 1)]", "[3, 3, -1]"),
        ("['abc'.find('', 4), 'abc'.find('', 3), 'abcabc'.rfind('b', 0, -2)]", "[-1, 3, 1]"),
        ("['abc'.startswith('b', 1), 'abc'.startswith(('x', 'c'), -1)]", "[True, True]"),
        (
            "['abc'.endswith('b', 0, 2), 'aaa'.count('a', 1), 'abc'.startswith('', 4)]",
            "[True, 2, False]",
        ),
        ("'%s-%03d|%5.1f|%-4s|%%' % ('a', 7, 2.25, 'xy')", "a-007|  2.2|xy  |%"),
        ("'%s' % 1 + '%d' % 3.99 + '%+d' % 5 + '%.2s' % 'abc'", "13+5ab"),
        ("'%(a)s %(b)05.1f' % {'a': 'x', 'b': -1.5}", "x -01.5"),
        ("'%05d|% d|%-05d|%.3d' % (-7, 3, 4, 5)", "-0007| 3|4    |005"),
        ("'%s%s' % ([1], {'a': 1}) + '%s' % {'a': 1}", "[1]{'a': 1}{'a': 1}"),
    ] {
        let value = of_names(expression, "s").unwrap();
        assert_eq!(str(&value).unwrap(), expected, "{expression}");
    }
}

#[test]
fn what_is_not_in_the_language_is_named() {
    for (expression, expected) in [
        ("", "the expression ends where a value is expected"),
        ("1 +", "the expression ends where a value is expected"),
        ("1 + * 2", "`*` stands where a value is expected"),
        ("(1", "the expression ends where `)` is expected"),
        ("[1, 2", "the expression ends where `]` is expected"),
        ("'abc", "this text has no end"),
        ("1 2", "unexpected `2`"),
        ("x and", "the expression ends where a value is expected"),
        ("lambda x: x", "`lambda` is not supported in maps"),
        ("012", "this number cannot be read"),
        ("12abc", "this number cannot be read"),
        ("nothing", "unknown name `nothing`"),
        ("'a'.explode()", "unknown method `explode`"),
        ("eval('1')", "unknown function `eval`"),
        ("''.__class__", "str has no `__class__`"),
        ("1 / 0", "division by zero"),
        ("None < 1", "`<` cannot compare None with int"),
        ("int('x')", "`int` cannot read this text"),
        ("'a' + 1", "`+` cannot combine str and int"),
        ("1 for a in 'a'", "`for` is supported inside of brackets only"),
        ("'{}'.format(1)", "unknown method `format`"),
        ("json.loads('[' * 20000)", "the text nests more than 512 times"),
        ("json.loads('[' * 20000 + ']' * 20000)", "the text nests more than 512 times"),
        ("2 ** 10 ** 10", "the result is too large"),
        ("0 ** -1", "0.0 cannot be raised to a negative power"),
        ("'%d' % 'x'", "`%d` takes a number, not str"),
        ("'%s %s' % (1,)", "`%` has fewer values than the text has places"),
        ("'%s' % (1, 2)", "`%` has more values than the text has places"),
        ("'%x' % 1", "`%x` is not supported in maps"),
        ("f'{}'", "a value is expected in the braces of an f-string"),
        ("f'{1:.2f}'", "`}` is expected in an f-string; `:` and `!` are not supported"),
        ("f'}'", "a single `}` stands in an f-string: write `}}`"),
        ("len(5)", "`len` cannot measure int"),
    ] {
        let fault = of_names(expression, "s").unwrap_err();
        assert_eq!(fault.reason(), expected, "{expression}");
    }
}

#[test]
fn what_an_expression_makes_is_limited() {
    for expression in [
        "'x' * 1000000000",
        "[0] * 1000000000",
        "'x'.zfill(1000000000)",
        "'a'.join(['b' * 10000] * 100000)",
        "('a' * 20000).replace('a', 'b' * 20000)",
        "str([['a' * 10000] * 10000] * 10)",
        "json.dumps([['a' * 10000] * 10000] * 10)",
        "['b' * 100000 for c in 'a' * 100000]",
    ] {
        let fault = of_names(expression, "s").unwrap_err();
        let expected = "an expression makes 256 MB at most for one row";
        assert_eq!(fault.reason(), expected, "{expression}");
    }
    let fault = of_names("[[1 for a in 'a' * 2000] for b in 'b' * 2000]", "s").unwrap_err();
    assert_eq!(fault.reason(), "loops turn 1000000 times at most for one row");
}
