//! The HTTP API: all that is sent over one connection, to the public side and to the Unix socket.
#![no_main]

use portolan::fuzzing::Api;
use portolan_fuzz::{samples, target};
use portolan_model::{Object, Origin};

thread_local! {
    static API: Api = {
        let objects = samples::OBJECTS.iter().filter_map(|json| Object::from_json(json.clone(), Origin::default()).ok());
        Api::new(objects.take(60).collect()).expect("there is a folder")
    };
}

target!(|bytes| {
    let Some(([how], rest)) = bytes.split_first_chunk() else { return };
    let control = how % 2 == 1;
    let answer = API.with(|api| api.exchange(rest, control));
    if answer.is_empty() {
        return;
    }
    assert!(answer.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&answer));
    // Nothing that a terminal obeys comes back, and no value of a Secret.
    let body =
        answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(&answer[..], |at| &answer[at + 4..]);
    assert!(!body.contains(&0x1b), "{:?}", String::from_utf8_lossy(body));
    if !control {
        assert!(
            !answer.starts_with(b"HTTP/1.1 5") || answer.starts_with(b"HTTP/1.1 505"),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
    }
});
