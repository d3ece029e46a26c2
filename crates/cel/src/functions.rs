//! The functions that expressions may call, by name and number of arguments: Kubernetes 1.36
//! (`apiserver/pkg/cel/environment/base.go` and `apiserver/pkg/cel/library`).

/// Name, fewest and most arguments (the target of a member call not counted).
type Function = (&'static str, usize, usize);

/// Called as `f(x)`.
const GLOBAL: &[Function] = &[
    ("bool", 1, 1),
    ("bytes", 1, 1),
    ("cidr", 1, 1),
    ("double", 1, 1),
    ("duration", 1, 1),
    ("dyn", 1, 1),
    ("int", 1, 1),
    ("ip", 1, 1),
    ("isCIDR", 1, 1),
    ("isIP", 1, 1),
    ("isURL", 1, 1),
    ("isQuantity", 1, 1),
    ("matches", 2, 2),
    ("quantity", 1, 1),
    ("size", 1, 1),
    ("string", 1, 1),
    ("timestamp", 1, 1),
    ("type", 1, 1),
    ("uint", 1, 1),
    ("url", 1, 1),
];

/// Called as `x.f(y)`.
const MEMBER: &[Function] = &[
    ("add", 1, 1),
    ("asApproximateFloat", 0, 0),
    ("asInteger", 0, 0),
    ("charAt", 1, 1),
    ("compareTo", 1, 1),
    ("contains", 1, 1),
    ("containsCIDR", 1, 1),
    ("containsIP", 1, 1),
    ("distinct", 0, 0),
    ("endsWith", 1, 1),
    ("family", 0, 0),
    ("find", 1, 1),
    ("findAll", 1, 2),
    ("first", 0, 0),
    ("flatten", 0, 1),
    ("format", 1, 1),
    ("getDate", 0, 1),
    ("getDayOfMonth", 0, 1),
    ("getDayOfWeek", 0, 1),
    ("getDayOfYear", 0, 1),
    ("getEscapedPath", 0, 0),
    ("getFullYear", 0, 1),
    ("getHost", 0, 0),
    ("getHostname", 0, 0),
    ("getHours", 0, 1),
    ("getMilliseconds", 0, 1),
    ("getMinutes", 0, 1),
    ("getMonth", 0, 1),
    ("getPort", 0, 0),
    ("getQuery", 0, 0),
    ("getScheme", 0, 0),
    ("getSeconds", 0, 1),
    ("hasValue", 0, 0),
    ("indexOf", 1, 2),
    ("ip", 0, 0),
    ("isGlobalUnicast", 0, 0),
    ("isGreaterThan", 1, 1),
    ("isInteger", 0, 0),
    ("isLessThan", 1, 1),
    ("isLinkLocalMulticast", 0, 0),
    ("isLinkLocalUnicast", 0, 0),
    ("isLoopback", 0, 0),
    ("isSorted", 0, 0),
    ("isUnspecified", 0, 0),
    ("join", 0, 1),
    ("last", 0, 0),
    ("lastIndexOf", 1, 2),
    ("lowerAscii", 0, 0),
    ("masked", 0, 0),
    ("matches", 1, 1),
    ("max", 0, 0),
    ("min", 0, 0),
    ("or", 1, 1),
    ("orValue", 1, 1),
    ("prefixLength", 0, 0),
    ("replace", 2, 3),
    ("reverse", 0, 0),
    ("sign", 0, 0),
    ("size", 0, 0),
    ("slice", 2, 2),
    ("sort", 0, 0),
    ("split", 1, 2),
    ("startsWith", 1, 1),
    ("sub", 1, 1),
    ("substring", 1, 2),
    ("sum", 0, 0),
    ("trim", 0, 0),
    ("upperAscii", 0, 0),
    ("validate", 1, 1),
    ("value", 0, 0),
];

/// Called by a name with a dot in it.
const QUALIFIED: &[Function] = &[
    ("format.byte", 0, 0),
    ("format.date", 0, 0),
    ("format.datetime", 0, 0),
    ("format.dns1035Label", 0, 0),
    ("format.dns1035LabelPrefix", 0, 0),
    ("format.dns1123Label", 0, 0),
    ("format.dns1123LabelPrefix", 0, 0),
    ("format.dns1123Subdomain", 0, 0),
    ("format.dns1123SubdomainPrefix", 0, 0),
    ("format.labelValue", 0, 0),
    ("format.named", 1, 1),
    ("format.qualifiedName", 0, 0),
    ("format.uri", 0, 0),
    ("format.uuid", 0, 0),
    ("ip.isCanonical", 1, 1),
    ("lists.range", 1, 1),
    ("optional.none", 0, 0),
    ("optional.of", 1, 1),
    ("optional.ofNonZeroValue", 1, 1),
    ("sets.contains", 2, 2),
    ("sets.equivalent", 2, 2),
    ("sets.intersects", 2, 2),
    ("strings.quote", 1, 1),
];

/// What Kubernetes has besides: an expression with one of them is right, and fails here when it runs.
const UNSERVED: &[&str] = &[
    "all",
    "authorizer",
    "exists",
    "existsOne",
    "image",
    "isImage",
    "isSemver",
    "optional.unwrap",
    "semver",
    "sortBy",
    "transformList",
    "transformMap",
    "transformMapEntry",
    "unwrapOpt",
];

/// Types by name.
pub const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "optional_type",
    "string",
    "type",
    "uint",
];

/// What is known of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It can be made.
    Served,
    /// Kubernetes has it, we do not.
    Unserved,
    /// Known, with this number of arguments.
    Arguments(usize, usize),
    /// Nobody has it.
    Unknown,
}

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `f(x)`
    Global,
    /// `x.f(y)`
    Member,
    /// `a.f(x)` where `a` is no value
    Qualified,
}

/// Looks a call up.
pub fn find(name: &str, style: Style, arguments: usize) -> Call {
    let list = match style {
        Style::Global => GLOBAL,
        Style::Member => MEMBER,
        Style::Qualified => QUALIFIED,
    };
    if let Some((_, fewest, most)) = list.iter().find(|(known, ..)| *known == name) {
        return if (*fewest..=*most).contains(&arguments) {
            Call::Served
        } else {
            Call::Arguments(*fewest, *most)
        };
    }
    if UNSERVED.contains(&name) { Call::Unserved } else { Call::Unknown }
}

/// A known function with almost this name.
pub fn near(name: &str) -> Option<&'static str> {
    let all = GLOBAL.iter().chain(MEMBER).chain(QUALIFIED).map(|(known, ..)| *known);
    let macros = ["all", "exists", "exists_one", "filter", "has", "map", "optMap", "optFlatMap"];
    all.chain(macros).find(|known| known.eq_ignore_ascii_case(name) || distance_one(known, name))
}

/// Whether one letter more, less or other makes the one the other.
fn distance_one(a: &str, b: &str) -> bool {
    let (short, long) =
        if a.len() <= b.len() { (a.as_bytes(), b.as_bytes()) } else { (b.as_bytes(), a.as_bytes()) };
    if short.len() < 3 || long.len() - short.len() > 1 {
        return false;
    }
    let same = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    let tail = if short.len() == long.len() { same + 1 } else { same };
    short.get(tail..).unwrap_or_default() == long.get(same + 1..).unwrap_or_default()
}
