//! New orders and accounts, read without trust.

use std::collections::BTreeSet;

use portolan_model::Instant;
use serde::Deserialize;

use super::{
    book::{Authorization, Book, Order, Proof},
    nonces::random,
    problem::Problem,
    serve::NewOrders,
};

/// How long an order is open, in milliseconds: a day.
const OPEN: i64 = 86_400_000;
/// Most names in an order, as at Let's Encrypt.
const NAMES: usize = 100;
/// Most contacts of an account.
const CONTACTS: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewOrder {
    identifiers: Vec<Identifier>,
    not_before: Option<String>,
    not_after: Option<String>,
    profile: Option<String>,
}

#[derive(Deserialize)]
struct Identifier {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewAccount {
    #[serde(default)]
    contact: Vec<String>,
    #[serde(default)]
    pub(super) only_return_existing: bool,
    pub(super) status: Option<String>,
}

impl NewAccount {
    /// The contacts, if they can be kept.
    pub(super) fn contacts(self) -> Result<Vec<String>, Problem> {
        if self.contact.len() > CONTACTS {
            return Err(Problem::contact("invalidContact", "too many contacts"));
        }
        for contact in &self.contact {
            let Some(address) = contact.strip_prefix("mailto:") else {
                let detail = "only mailto: contacts are taken";
                return Err(Problem::contact("unsupportedContact", detail));
            };
            let plain = |c: char| c.is_ascii_graphic() && !matches!(c, ',' | '?' | '%');
            if address.len() > 254 || !address.contains('@') || !address.chars().all(plain) {
                let detail = "a contact is no plain mail address";
                return Err(Problem::contact("invalidContact", detail));
            }
        }
        Ok(self.contact)
    }
}

impl NewOrder {
    /// The order, put on its shelf.
    pub(super) fn place(
        self,
        book: &mut Book,
        account: &str,
        limit: NewOrders,
        now: Instant,
    ) -> Result<String, Problem> {
        let names = self.names()?;
        limited(book, account, limit, now)?;
        let open = |_: &String| {
            let token = random(32).ok_or_else(Problem::internal)?;
            Ok(Authorization { token, state: Proof::Pending })
        };
        let authorizations = names.iter().map(open).collect::<Result<_, Problem>>()?;
        let (account, expires) = (account.to_owned(), now.plus_millis(OPEN));
        let order = Order { account, names, made: now, expires, authorizations, chain: None };
        book.orders.add(order).ok_or_else(Problem::internal)
    }

    fn names(self) -> Result<Vec<String>, Problem> {
        if self.not_before.is_some() || self.not_after.is_some() {
            return Err(Problem::malformed("notBefore and notAfter are not served"));
        }
        if let Some(profile) = self.profile {
            let profile: String = profile.chars().take(64).collect();
            return Err(Problem::identifier("invalidProfile", format!("there is no profile {profile:?}")));
        }
        if self.identifiers.is_empty() || self.identifiers.len() > NAMES {
            return Err(Problem::malformed(format!("an order has 1 to {NAMES} identifiers")));
        }
        let mut names = BTreeSet::new();
        for identifier in self.identifiers {
            if identifier.kind != "dns" {
                return Err(Problem::identifier(
                    "unsupportedIdentifier",
                    "only identifiers of type dns are served",
                ));
            }
            let name = identifier.value.to_ascii_lowercase();
            if !is_dns_name(&name) {
                let shown: String = name.chars().take(128).collect();
                return Err(Problem::identifier(
                    "rejectedIdentifier",
                    format!("{shown:?} is not a DNS name"),
                ));
            }
            names.insert(name);
        }
        Ok(names.into_iter().collect())
    }
}

/// At most so many new orders of an account in a window, as public CAs have it.
fn limited(book: &Book, account: &str, limit: NewOrders, now: Instant) -> Result<(), Problem> {
    let since = now.plus_millis(-limit.window);
    let made: Vec<Instant> = {
        let recent = book.orders.values().filter(|order| order.account == account && order.made > since);
        recent.map(|order| order.made).collect()
    };
    if made.len() < limit.count {
        return Ok(());
    }
    let oldest = made.into_iter().min().unwrap_or(now);
    let left = oldest.plus_millis(limit.window).0.saturating_sub(now.0);
    let detail = format!("too many new orders ({}) in the last {} s", limit.count, limit.window / 1000);
    Err(Problem::rate_limited(detail, left.div_euclid(1000) + 1))
}

/// At least two labels of letters, digits and hyphens, maybe with a wildcard as the whole first label.
fn is_dns_name(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(label)
}
