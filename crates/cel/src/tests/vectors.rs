//! Expressions with what Kubernetes makes of them: the CEL specification, cel-go's extensions, and the examples in the
//! comments of `apiserver/pkg/cel/library`.

use super::outcome;

const VECTORS: &[(&str, &str)] = &[
    // what policies on hosts look like
    ("object.spec.hostnames.all(h, h.endsWith('.dev.example.com'))", "true"),
    ("object.spec.hostnames.exists(h, h.startsWith('*.'))", "false"),
    ("object.spec.hostnames.exists_one(h, h == 'app.dev.example.com')", "true"),
    ("object.spec.hostnames.filter(h, h.startsWith('app')).size() == 1", "true"),
    (
        "object.spec.hostnames.map(h, h.lowerAscii()) == ['app.dev.example.com', 'api.dev.example.com']",
        "true",
    ),
    ("object.spec.hostnames.map(h, h.startsWith('a'), h.size()) == [19]", "true"),
    ("object.spec.hostnames.all(h, h.endsWith('.' + params.data.domain))", "true"),
    ("object.spec.hostnames.all(h, h.matches('^[a-z.]+$'))", "false"),
    (
        "object.spec.hostnames.all(h, h in object.metadata.annotations['example.com/hosts'].split(','))",
        "false",
    ),
    ("object.spec.parentRefs.all(p, p.namespace == 'infra' && p.port == 443)", "true"),
    ("object.spec.rules.all(r, r.backendRefs.all(b, b.weight > 0 && b.weight <= 100))", "true"),
    ("object.spec.rules.map(r, r.backendRefs[0].weight).sum() == 100", "true"),
    ("object.metadata.labels.owner == object.metadata.namespace", "true"),
    ("'owner' in object.metadata.labels && object.metadata.labels['owner'] != ''", "true"),
    ("object.metadata.labels.all(k, k.matches('^[a-z]+$'))", "true"),
    ("object.metadata.labels.map(k, k) == ['owner', 'tier']", "true"),
    ("!('x' in object.metadata.labels)", "true"),
    ("has(object.spec.hostnames) && !has(object.spec.missing)", "true"),
    ("has(object.spec.none) && object.spec.none == null", "true"),
    ("oldObject == null", "true"),
    // absent fields
    ("object.spec.missing == 'x'", "fails: no such key: missing"),
    ("object.spec.missing == 'x' || true", "true"),
    ("object.spec.missing == 'x' && false", "false"),
    ("object.spec.missing == 'x' && true", "fails: no such key: missing"),
    ("object.spec.hostnames[2] == ''", "fails: index out of bounds"),
    ("object.spec.rules.all(r, r.matches.size() > 0)", "fails: no such key: matches"),
    ("object.spec.rules.exists(r, r.matches.size() > 0)", "true"),
    ("object.?spec.?missing.orValue('x') == 'x'", "true"),
    ("object.spec.?hostnames[?7].hasValue()", "false"),
    ("object.spec.?hostnames[?0].value().size() == 19", "true"),
    ("object.metadata.labels[?'owner'].optMap(v, v + '!').orValue('') == 'team-a!'", "true"),
    ("optional.of(1).or(optional.of(2)).value() == 1 && !optional.none().hasValue()", "true"),
    ("[?object.?spec.?missing, ?optional.of(1)] == [1]", "true"),
    // numbers
    ("object.spec.parentRefs[0].port == 443 && object.spec.parentRefs[0].port + 1 == 444", "true"),
    ("type(object.spec.parentRefs[0].port) == int && type(object.spec.ratio) == double", "true"),
    ("object.spec.big == 9007199254740993", "true"),
    ("object.spec.ratio * 2.0 == 1.0 && 1 == 1.0 && 2 > 1.5", "true"),
    ("object.spec.parentRefs[0].port * 1.5 > 0.0", "fails: the operation is not defined for these types"),
    ("1 / 0 == 1", "fails: division by zero"),
    ("9223372036854775807 + 1 > 0", "fails: number too large"),
    ("int('12') + 1 == 13 && string(12) == '12' && double('1.5') == 1.5", "true"),
    ("7 % 3 == 1 && -7 / 2 == -3", "true"),
    // conditions that are none
    ("object.spec.hostnames", "gives list, not bool"),
    ("'a' + 1 == 'a1'", "fails: the operation is not defined for these types"),
    ("object.kind && true", "fails: found no matching overload for '_&&_' applied to '(string, bool)'"),
    ("object.kind ? true : false", "fails: string where bool is needed"),
    // strings
    ("'a.b.c'.split('.') == ['a', 'b', 'c'] && 'a.b.c'.split('.', 2) == ['a', 'b.c']", "true"),
    ("'TacoCat'.lowerAscii() == 'tacocat' && 'TacoCat'.upperAscii() == 'TACOCAT'", "true"),
    ("'hello'.substring(1, 3) == 'el' && 'hello'.substring(3) == 'lo'", "true"),
    ("'hello'.substring(9) == ''", "fails: substring: index out of range: 9"),
    ("'hello hello'.replace('he', 'we') == 'wello wello'", "true"),
    ("'hello hello'.replace('he', 'we', 1) == 'wello hello' && 'ab'.replace('', '-') == '-a-b-'", "true"),
    ("['x', 'y'].join() == 'xy' && ['x', 'y'].join('-') == 'x-y' && [].join('-') == ''", "true"),
    ("[1, 'a'].join(',') == ''", "fails: join: the list has something else than strings"),
    ("'  a '.trim() == 'a' && 'tacocat'.charAt(1) == 'a'", "true"),
    ("'hello'.indexOf('l') == 2 && 'hello'.lastIndexOf('l') == 3 && 'hello'.indexOf('x') == -1", "true"),
    ("'%s has %d'.format(['a', 3]) == 'a has 3'", "true"),
    ("'hello'.contains('ell') && size('äöü') == 3 && 'äöü'.size() == 3", "true"),
    ("'a' < 'b' && 'abc' + 'd' == 'abcd'", "true"),
    ("strings.quote('a\"b') == '\"a\\\\\"b\"'", "true"),
    (r#"r'\d' == '\\d' && """a"b""" == 'a"b'"#, "true"),
    // regular expressions: RE2, anywhere in the text
    ("'abc 123'.find('[0-9]+') == '123' && 'abc'.find('[0-9]+') == ''", "true"),
    (
        "'123 abc 456'.findAll('[0-9]+') == ['123', '456'] && '1 2 3'.findAll('[0-9]', 2) == ['1', '2']",
        "true",
    ),
    ("matches('foobar', 'foo.*') && 'foobar'.matches('oba') && !'foobar'.matches('^bar')", "true"),
    ("'a'.matches('(')", "refused: 1:13 '(' is no regular expression: unclosed group"),
    (
        "'a'.matches('(?=a)')",
        "refused: 1:13 '(?=a)' is no regular expression: look-around, including look-ahead and look-behind, is not supported",
    ),
    (
        "'a'.matches(object.kind + '(')",
        "fails: matches: 'HTTPRoute(' is no regular expression: unclosed group",
    ),
    // lists
    ("[1, 2, 3].sum() == 6 && [].sum() == 0 && [1, 3].max() == 3 && [1, 3].min() == 1", "true"),
    ("[].max() == 1", "fails: max: the list is empty"),
    ("['a', 'b'].isSorted() && ![2, 1].isSorted()", "true"),
    ("[1, 2, 2, 3].indexOf(2) == 1 && [1, 2, 2, 3].lastIndexOf(2) == 2 && [1].indexOf(9) == -1", "true"),
    ("[1, 2] + [3] == [1, 2, 3] && 2 in [1, 2] && !(4 in [1])", "true"),
    ("sets.contains([1, 2, 3], [2]) && !sets.contains([1], [2]) && sets.contains([1], [])", "true"),
    (
        "sets.equivalent([1, 2], [2, 1, 1]) && sets.intersects([1, 2], [2, 3]) && !sets.intersects([1], [])",
        "true",
    ),
    ("{'a': 1}.a == 1 && {'a': 1, 'b': 2}.size() == 2 && 'a' in {'a': 1}", "true"),
    ("{'b': 1, 'a': 2}.map(k, k) == ['a', 'b']", "true"),
    // addresses, networks, URLs
    (
        "isIP('10.0.0.1') && isIP('::1') && !isIP('10.0.0.01') && !isIP('1.2.3') && !isIP('::ffff:1.2.3.4')",
        "true",
    ),
    ("ip('10.0.0.1').family() == 4 && ip('::1').isLoopback() && ip('10.0.0.1').isGlobalUnicast()", "true"),
    ("ip('::1') == ip('0:0::1') && string(ip('0:0::1')) == '::1' && !ip.isCanonical('0:0::1')", "true"),
    ("ip('x') == ip('::1')", "fails: ip: 'x' is no IP address"),
    ("cidr('10.0.0.0/8').containsIP('10.9.8.7') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))", "true"),
    (
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8')",
        "true",
    ),
    (
        "cidr('::1/128').prefixLength() == 128 && isCIDR('0.0.0.0/0') && !isCIDR('10.0.0.0/33') && !isCIDR('::/08')",
        "true",
    ),
    ("url('https://user@example.com:8443/a%20b?x=1&x=2').getHost() == 'example.com:8443'", "true"),
    (
        "url('https://example.com:8443/').getHostname() == 'example.com' && url('https://[::1]:80/').getPort() == '80'",
        "true",
    ),
    ("url('https://example.com/a%20b?x=1&x=2').getQuery()['x'] == ['1', '2']", "true"),
    ("url('/a/b').getEscapedPath() == '/a/b' && url('https://a').getScheme() == 'https'", "true"),
    (
        "isURL('https://a.b/c') && isURL('/a') && !isURL('a/b') && !isURL('https://a b') && !isURL('../x')",
        "true",
    ),
    // names
    (
        "!format.dns1123Label().validate('a-b').hasValue() && format.dns1123Label().validate('a.b').hasValue()",
        "true",
    ),
    (
        "!format.dns1123Subdomain().validate('a.b').hasValue() && format.dns1123Subdomain().validate('a..b').hasValue()",
        "true",
    ),
    (
        "!format.dns1035Label().validate('a').hasValue() && format.dns1035Label().validate('1a').hasValue()",
        "true",
    ),
    (
        "!format.dns1123LabelPrefix().validate('a-').hasValue() && format.dns1123Label().validate('a-').hasValue()",
        "true",
    ),
    (
        "!format.qualifiedName().validate('a.b/C_d').hasValue() && format.qualifiedName().validate('a/b/c').hasValue()",
        "true",
    ),
    ("!format.labelValue().validate('').hasValue() && format.labelValue().validate('-').hasValue()", "true"),
    (
        "!format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue() && format.uuid().validate('x').value() == ['does not match the UUID format']",
        "true",
    ),
    (
        "!format.byte().validate('aGk=').hasValue() && format.byte().validate('a').value() == ['invalid base64']",
        "true",
    ),
    (
        "!format.date().validate('2026-02-28').hasValue() && format.date().validate('2026-02-30').value() == ['invalid date']",
        "true",
    ),
    (
        "!format.datetime().validate('2026-11-29T08:00:00Z').hasValue() && format.datetime().validate('x').hasValue()",
        "true",
    ),
    ("!format.uri().validate('https://a.b').hasValue() && format.uri().validate('a b').hasValue()", "true"),
    (
        "!format.named('dns1123Label').value().validate('a').hasValue() && !format.named('x').hasValue()",
        "true",
    ),
    ("(format.dns1123Label().validate('a') == null) == false", "true"),
    // quantities
    ("quantity('1Gi').isGreaterThan(quantity('1Mi')) && quantity('500m').isLessThan(quantity('1'))", "true"),
    ("quantity('1k') == quantity('1000') && quantity('1.5').compareTo(quantity('1500m')) == 0", "true"),
    (
        "isQuantity('1Ki') && isQuantity('1e3') && !isQuantity('1kk') && !isQuantity('x') && !isQuantity('1.2.3')",
        "true",
    ),
    (
        "quantity('50k').add(quantity('20k')) == quantity('70k') && quantity('50k').sub(20000) == quantity('30k')",
        "true",
    ),
    (
        "quantity('50k').asInteger() == 50000 && !quantity('1500m').isInteger() && quantity('-1').sign() == -1",
        "true",
    ),
    (
        "quantity('x').sign() == 0",
        "fails: quantity: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ),
    // time
    ("duration('10s') < duration('1m') && duration('90s').getMinutes() == 1", "true"),
    ("duration(object.spec.rules[1].timeouts.request) <= duration('30s')", "true"),
    ("timestamp('2026-11-24T00:00:00Z').getFullYear() == 2026", "true"),
    // what the checker of Kubernetes refuses
    ("objekt.kind == ''", "refused: 1:1 undeclared reference to 'objekt'"),
    ("object.spec.hostnames.all(h, x == h)", "refused: 1:30 undeclared reference to 'x'"),
    ("object.spec.hostnames.all(h, true) && h == ''", "refused: 1:39 undeclared reference to 'h'"),
    ("object.kind.endsWith('a', 'b')", "refused: 1:21 endsWith takes 1 arguments, not 2"),
    ("[1, 2, 2, 1].distinct() == [1, 2]", "true"),
    ("[[1], [2, [3]]].flatten() == [1, 2, [3]]", "true"),
    ("[[1], [2, [3]]].flatten(2) == [1, 2, 3]", "true"),
    ("[3, 1, 2].sort() == [1, 2, 3] && ['b', 'a'].sort() == ['a', 'b']", "true"),
    ("[1, 2, 3, 4].slice(1, 3) == [2, 3] && [1].slice(1, 1) == []", "true"),
    ("[1, 2, 3].reverse() == [3, 2, 1]", "true"),
    ("lists.range(3) == [0, 1, 2]", "true"),
    ("[1, 2].first().value() == 1 && [1, 2].last().value() == 2 && ![].first().hasValue()", "true"),
    ("[1].slice(0, 2) == []", "fails: slice: cannot slice(0, 2), list is length 1"),
    ("[1, 'a'].sort() == []", "fails: sort: the elements differ in type"),
    ("[1].flatten(-1) == []", "fails: flatten: level must be non-negative"),
    ("[3, 1].sortBy(e, e) == [1, 3]", "fails: sortBy is not served by Portolan"),
    ("optional.unwrap([optional.of(1)]) == [1]", "fails: optional.unwrap is not served by Portolan"),
    ("[optional.of(1)].unwrapOpt() == [1]", "fails: unwrapOpt is not served by Portolan"),
    ("math.greatest(1, 2) == 2", "refused: 1:14 undeclared reference to function 'math.greatest'"),
    ("size(1, 2) == 2", "refused: 1:5 size takes 1 arguments, not 2"),
    ("sets.union([1], [2]) == []", "refused: 1:11 undeclared reference to function 'sets.union'"),
    ("Object{spec: 1} == null", "refused: 1:7 undeclared reference to type 'Object'"),
    ("", "refused: 1:1 the expression is empty"),
    ("object.kind = 'x'", "refused: 1:13 syntax error: Syntax error: token recognition error at: '= '"),
    // what only Kubernetes has
    (
        "authorizer.group('').resource('pods').check('get').allowed()",
        "fails: authorizer is not served by Portolan",
    ),
    ("{'a': 1}.all(k, v, v > 0)", "fails: all is not served by Portolan"),
    ("semver('1.2.3').major() == 1", "fails: semver is not served by Portolan"),
    // only what is reached has no value
    ("object.kind != '' || semver('1.2.3').major() == 1", "true"),
    ("semver('1.2.3').major() == 1 || object.kind != ''", "true"),
    ("object.kind == '' && authorizer.path('/x').check('get').allowed()", "false"),
    ("object.kind == '' ? {'a': 1}.transformMap(k, v, v).size() == 1 : true", "true"),
    ("object.kind == '' || [3, 1].sortBy(e, e)[0] == 1", "fails: sortBy is not served by Portolan"),
    ("[1].all(n, n == 1 || optional.unwrap([optional.of(n)]) == [1])", "true"),
];

#[test]
fn expressions_have_the_results_of_kubernetes() {
    let mut wrong = Vec::new();
    for (source, wanted) in VECTORS {
        let got = outcome(source);
        if got != *wanted {
            wrong.push(format!("{source}\n   wanted {wanted}\n   got    {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
