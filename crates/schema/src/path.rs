//! Where in an object: a chain on the stack, written only when something is wrong there.

/// A place in an object.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The object itself.
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// A field of the object itself.
    pub const fn top(name: &'static str) -> Path<'static> {
        Path { parent: Some(&Path::ROOT), step: Step::Field(name) }
    }

    /// A named field.
    #[must_use]
    pub fn field(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Field(name) }
    }

    /// A key of a map.
    #[must_use]
    pub fn key(&'a self, key: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    /// An item of a list.
    #[must_use]
    pub fn index(&'a self, at: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(at) }
    }

    /// As Kubernetes' `field.Path` prints it: `data[key]`; `<nil>` for the object itself.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, true);
        if out.is_empty() { "<nil>".to_owned() } else { out }
    }

    /// As kube-openapi does, which does not tell keys of maps from fields: `data.key`; empty for the object itself.
    pub fn dotted(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, false);
        out
    }

    fn write(&self, out: &mut String, brackets: bool) {
        if let Some(parent) = self.parent {
            parent.write(out, brackets);
        }
        match self.step {
            Step::Root => {}
            Step::Key(key) if brackets => {
                out.push('[');
                out.push_str(key);
                out.push(']');
            }
            Step::Field(name) | Step::Key(name) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(name);
            }
            Step::Index(at) => {
                out.push('[');
                out.push_str(&at.to_string());
                out.push(']');
            }
        }
    }
}
