//! Encoding by hand where a message is composed of encoded parts, or where the generated type is a `HashMap`, whose order
//! (and with it the content's hash) would differ from one encoding to the next.

use prost::encoding::{WireType, encode_key, encode_varint};

/// A length-delimited field: a message, a text or bytes.
pub(super) fn field(number: u32, content: &[u8], into: &mut Vec<u8>) {
    into.reserve(content.len() + 8);
    encode_key(number, WireType::LengthDelimited, into);
    encode_varint(content.len() as u64, into);
    into.extend_from_slice(content);
}

/// A field as a message of its own.
pub(super) fn only(number: u32, content: &[u8]) -> Vec<u8> {
    let mut made = Vec::new();
    field(number, content, &mut made);
    made
}
