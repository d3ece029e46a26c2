//! Names as Kubernetes has them, with its words for what is wrong. Source: k8s.io/apimachinery `pkg/util/validation`.

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";

/// Most bytes of a label of DNS.
pub const LABEL_LENGTH: usize = 63;
/// Most bytes of a name of DNS.
pub const SUBDOMAIN_LENGTH: usize = 253;

fn too_long(most: usize) -> String {
    format!("must be no more than {most} characters")
}

/// Keys and values of labels have other words for the same.
fn too_many_bytes(most: usize) -> String {
    format!("must be no more than {most} bytes")
}

fn label_fits(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && plain(bytes[0])
        && plain(bytes[bytes.len() - 1])
        && bytes.iter().all(|c| plain(*c) || *c == b'-')
}

/// `IsDNS1123Label` without a word.
pub fn is_label(text: &str) -> bool {
    text.len() <= LABEL_LENGTH && label_fits(text)
}

/// `IsDNS1123Subdomain` without a word.
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN_LENGTH && text.split('.').all(label_fits)
}

/// `IsDNS1123Label`: what is wrong with it.
pub fn label(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    if text.len() > LABEL_LENGTH {
        out.push(too_long(LABEL_LENGTH));
    }
    if !label_fits(text) {
        out.push(if text.split('.').all(label_fits) {
            "must not contain dots".to_owned()
        } else {
            format!(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL}')"
            )
        });
    }
    out
}

/// `IsDNS1123Subdomain`: what is wrong with it.
pub fn subdomain(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    if text.len() > SUBDOMAIN_LENGTH {
        out.push(too_long(SUBDOMAIN_LENGTH));
    }
    if !text.split('.').all(label_fits) {
        out.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{SUBDOMAIN}')"
        ));
    }
    out
}

/// `IsDNS1035Label`: what is wrong with it. Names of Services.
pub fn dns_1035(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    if text.len() > LABEL_LENGTH {
        out.push(too_long(LABEL_LENGTH));
    }
    if !(label_fits(text) && text.starts_with(|c: char| c.is_ascii_lowercase())) {
        out.push("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')".to_owned());
    }
    out
}

const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

fn qualified_fits(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes[0].is_ascii_alphanumeric()
        && bytes[bytes.len() - 1].is_ascii_alphanumeric()
        && bytes.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'))
}

/// `IsLabelKey` (`IsQualifiedName`): what is wrong with the key of a label or annotation, or with a finalizer.
pub fn label_key(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                out.push("prefix part must be non-empty".to_owned());
            } else {
                out.extend(subdomain(prefix).into_iter().map(|words| format!("prefix part {words}")));
            }
            name
        }
        _ => {
            return vec![format!(
                "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{QUALIFIED}') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        out.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_LENGTH {
        out.push(format!("name part {}", too_many_bytes(LABEL_LENGTH)));
    }
    if !qualified_fits(name) {
        out.push(format!(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{QUALIFIED}')"
        ));
    }
    out
}

/// `IsLabelValue`: what is wrong with it.
pub fn label_value(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    if text.len() > LABEL_LENGTH {
        out.push(too_many_bytes(LABEL_LENGTH));
    }
    if !text.is_empty() && !qualified_fits(text) {
        out.push("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')".to_owned());
    }
    out
}
