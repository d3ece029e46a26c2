//! Changes of headers.

use envoy_types::pb::envoy::config::core::v3::{
    HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction,
};
use portolan_model::input::{Filter, HeaderChange};

/// What filters together do to the headers of a message. Envoy removes first, so what a later filter removes is not set by
/// an earlier one.
#[derive(Default)]
pub(super) struct Headers {
    pub add: Vec<HeaderValueOption>,
    pub remove: Vec<String>,
}

impl Headers {
    /// Of requests, and of their answers.
    pub fn of<'a>(filters: impl IntoIterator<Item = &'a Filter>) -> (Self, Self) {
        let (mut request, mut response) = (Self::default(), Self::default());
        for filter in filters {
            match filter {
                Filter::RequestHeaders(change) => request.then(change),
                Filter::ResponseHeaders(change) => response.then(change),
                _ => {}
            }
        }
        (request, response)
    }

    fn then(&mut self, change: &HeaderChange) {
        let goes = |option: &HeaderValueOption| {
            let key = option.header.as_ref().map_or("", |header| &header.key);
            change.remove.iter().any(|name| name.eq_ignore_ascii_case(key))
        };
        self.add.retain(|option| !goes(option));
        self.add.extend(header_values(change));
        self.remove.extend(change.remove.iter().map(ToString::to_string));
    }
}

fn header_values(change: &HeaderChange) -> Vec<HeaderValueOption> {
    let option =
        |(name, value): &(portolan_model::Name, String), action: HeaderAppendAction| HeaderValueOption {
            header: Some(HeaderValue {
                key: name.to_string(),
                // `%` begins a substitution in Envoy's formatter.
                value: value.replace('%', "%%"),
                ..Default::default()
            }),
            append_action: action as i32,
            // Without it Envoy passes over an empty value, and what the client sent stays.
            keep_empty_value: value.is_empty(),
            ..Default::default()
        };
    let set = change.set.iter().map(|pair| option(pair, HeaderAppendAction::OverwriteIfExistsOrAdd));
    let add = change.add.iter().map(|pair| option(pair, HeaderAppendAction::AppendIfExistsOrAdd));
    set.chain(add).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_takes_the_place_of_what_the_client_sent() {
        let set = vec![("x-user".into(), String::new()), ("x-a".into(), "a".into())];
        let made = header_values(&HeaderChange { set, ..Default::default() });
        assert_eq!(made.iter().map(|option| option.keep_empty_value).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn what_a_later_filter_removes_is_not_set_by_an_earlier_one() {
        let set = vec![("X-A".into(), "a".into()), ("x-b".into(), "b".into())];
        let first = Filter::RequestHeaders(HeaderChange { set, ..Default::default() });
        let remove = vec!["x-a".into()];
        let add = vec![("x-a".into(), "later".into())];
        let second = Filter::RequestHeaders(HeaderChange { add, remove, ..Default::default() });
        let (request, response) = Headers::of([&first, &second]);
        let set: Vec<_> = request.add.iter().filter_map(|option| option.header.as_ref()).collect();
        let set: Vec<_> = set.iter().map(|header| (&*header.key, &*header.value)).collect();
        assert_eq!(set, [("x-b", "b"), ("x-a", "later")]);
        assert_eq!((request.remove, response.add.len()), (vec!["x-a".to_owned()], 0));
    }
}
