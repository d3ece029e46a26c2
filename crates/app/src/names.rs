//! Names of objects as arguments: what no API server takes is refused before anything is made of it.

use portolan_schema::names;

/// A name of most kinds (`IsDNS1123Subdomain`).
///
/// # Errors
/// What is wrong with it, in the API server's words.
pub fn object(text: &str) -> Result<String, String> {
    checked(text, &names::subdomain(text))
}

/// A namespace (`IsDNS1123Label`).
///
/// # Errors
/// As [`object`].
pub fn namespace(text: &str) -> Result<String, String> {
    checked(text, &names::label(text))
}

fn checked(text: &str, wrong: &[String]) -> Result<String, String> {
    if wrong.is_empty() { Ok(text.to_owned()) } else { Err(wrong.join("; ")) }
}
