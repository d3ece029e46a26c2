//! Bytes to text as Argo CD reads the files of a folder (`utfutil.UTF8`): a byte order mark decides, and what is ill-formed becomes
//! U+FFFD. kubectl and Kustomize refuse such files.

/// The text of a file.
pub(super) fn text(bytes: &[u8]) -> String {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, odd) = bytes.as_chunks();
    let units = pairs.iter().map(|pair| unit(*pair));
    let signs = char::decode_utf16(units).map(|sign| sign.unwrap_or(char::REPLACEMENT_CHARACTER));
    signs.chain(odd.iter().map(|_| char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_decides_and_nothing_is_refused() {
        for (bytes, wanted) in [
            (&b"a: caf\xc3\xa9"[..], "a: caf\u{e9}"),
            (b"\xef\xbb\xbfa", "a"),
            (b"\xff\xfea\0\xe9\0", "a\u{e9}"),
            (b"\xfe\xff\0a\xd8\x3d\xde\x00", "a\u{1f600}"),
            (b"\xff\xfea\0\x3d\xd8", "a\u{fffd}"),
            (b"\xff\xfea\0b", "a\u{fffd}"),
            (b"caf\xe9!", "caf\u{fffd}!"),
            (b"\xe2\x82x \xf0\x9f\x98", "\u{fffd}x \u{fffd}"),
            (b"", ""),
        ] {
            assert_eq!(text(bytes), wanted, "{bytes:x?}");
        }
    }
}
