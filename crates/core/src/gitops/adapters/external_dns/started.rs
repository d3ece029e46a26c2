//! What external-dns looks at before it starts, beyond each flag by itself. Source: `pkg/apis/externaldns/validation` at 0.23.

use super::{super::Reader, given::Given, stop};

/// Files what it would end with.
pub(super) fn check(reader: &mut Reader<'_>, given: &Given) {
    let mut wrong = |flag: &str, why: &str| {
        stop(reader, &given.field(flag), &format!("it would not start: {why}"));
    };
    let number = |flag: &str| given.text(flag).parse::<i64>().ok();
    if given.is_set("annotation-prefix") {
        let prefix = given.text("annotation-prefix");
        if prefix.is_empty() {
            wrong("annotation-prefix", "--annotation-prefix cannot be empty");
        } else if !prefix.ends_with('/') {
            wrong("annotation-prefix", "--annotation-prefix must end with '/'");
        }
    }
    for flag in ["kube-api-qps", "kube-api-burst"] {
        if number(flag).is_some_and(|number| number <= 0) {
            wrong(flag, &format!("--{flag} must be greater than 0"));
        }
    }
    if given.on("create-ptr") && !given.list("managed-record-types").iter().any(|text| text == "PTR") {
        wrong("create-ptr", "--create-ptr requires PTR in --managed-record-types");
    }
    match &*given.text("provider") {
        "azure" if given.is_set("azure-config-file") && given.text("azure-config-file").is_empty() => {
            wrong("azure-config-file", "no Azure config file specified");
        }
        "rfc2136" => {
            if given.text("rfc2136-min-ttl").starts_with('-') {
                wrong("rfc2136-min-ttl", "TTL specified for rfc2136 is negative");
            }
            if given.on("rfc2136-gss-tsig") {
                let kerberos =
                    ["realm", "username", "password"].map(|part| format!("rfc2136-kerberos-{part}"));
                if given.on("rfc2136-insecure") {
                    let why = "--rfc2136-insecure and --rfc2136-gss-tsig are mutually exclusive arguments";
                    wrong("rfc2136-insecure", why);
                } else if let Some(missing) = kerberos.iter().find(|flag| {
                    // From a Secret, whose value nobody here knows.
                    given.text(flag).is_empty() && !given.is_elsewhere(flag)
                }) {
                    wrong("rfc2136-gss-tsig", &format!("--{missing} is required with --rfc2136-gss-tsig"));
                }
            }
            if number("rfc2136-batch-change-size").is_some_and(|size| size < 1) {
                wrong("rfc2136-batch-change-size", "batch size specified for rfc2136 cannot be less than 1");
            }
        }
        _ => {}
    }
}
