//! A Kustomization's folder, built as Flux does, and what comes after the build; the post-renderers of a HelmRelease.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{
    super::{
        checkout,
        helm::Failure,
        kustomization::FILES,
        kustomize::{ask_origins, build, files, options::Kustomize, origins},
        manifests::{Document, Manifests},
        problems,
        source::Reader,
        stage,
        stamp::Stamp,
    },
    Flux, generate, values,
};

/// Lists of a Kustomization whose entries are added to those of the kustomization.
const ADDED: [&str; 3] = ["patches", "patchesStrategicMerge", "patchesJson6902"];

impl Reader<'_> {
    /// Builds the folder of a Kustomization.
    pub(in super::super) fn flux(&mut self, flux: &Flux, folder: &Path, shown: &str) {
        let shown = if shown.is_empty() { "." } else { shown };
        self.out.shown = Some(format!("{shown} (flux)"));
        let staged =
            files::collect_or(self.checkout, folder, &self.pins, |checkout| generate::of(checkout, folder));
        let staged = staged.and_then(|mut staged| {
            self.write(flux, folder, &mut staged)?;
            Ok(staged)
        });
        let mut staged = match staged {
            Ok(staged) => staged,
            Err(why) => {
                let message = format!("kustomization {shown} cannot be read: {why}");
                self.fail(problems::kustomize_failed, ".path", message);
                return;
            }
        };
        // Flux reads files above the folder, and renders no charts.
        (staged.free, staged.charts) = (true, false);
        for (file, what) in &staged.remote {
            let message = format!("{file} names {what}, which is remote and was not fetched: it is left out");
            self.report(problems::remote_source, ".path", message);
        }
        let tools = self.context.tools;
        let built = build::key(tools, &staged, &Kustomize::default());
        let stamp = Stamp::Chart(format!("{built} {}", flux.key()));
        let same = self.old.parts.get(folder).is_some_and(|part| part.stamp.as_ref() == Some(&stamp));
        if same && !self.context.forced.contains(folder) {
            self.take_over(folder);
            return;
        }
        let text = build::build(
            tools,
            &built,
            &staged,
            &Kustomize::default(),
            &self.subject(),
            Some(self.patience()),
        );
        let text = match text {
            Err(Failure::Chart(said)) if staged.lacks(&said).is_some() => {
                return self.unbuilt(Failure::Chart(said), &staged, &format!("kustomization {shown}"));
            }
            text => text,
        };
        let filled = text.and_then(|text| flux.fill(&text).map_err(Failure::Chart));
        match filled {
            Ok((text, left_out)) => {
                let mut read = origins::objects(&text, &staged, &self.name(), self.context.lines);
                flux.finish(&mut read, &self.application.key, &left_out);
                self.old.parts.remove(folder);
                self.keep(folder, Some(stamp), false, read);
            }
            Err(failure) => {
                let left_out = self.checkout.left_out().map(|names| {
                    format!(" (the source does not take {names}: .sourceignore, spec.ignore or spec.sparseCheckout leaves it out, or it is a link)")
                });
                let what = format!("kustomization {shown}{}", left_out.unwrap_or_default());
                self.failed(failure, &what, problems::kustomize_failed);
            }
        }
    }

    /// Writes what the Kustomization says into the copy, as Flux's generator does.
    fn write(&self, flux: &Flux, folder: &Path, staged: &mut files::Staged) -> Result<(), String> {
        let Some((path, mut own)) = staged.own.take() else { return Ok(()) };
        for (field, of) in
            [("namespace", "targetNamespace"), ("namePrefix", "namePrefix"), ("nameSuffix", "nameSuffix")]
        {
            if let Some(text) = flux.written[of].as_str() {
                own.insert(field.into(), text.into());
            }
        }
        let entries = |field: &str| flux.written[field].as_array().cloned().unwrap_or_default();
        for field in ADDED {
            let mut more = entries(field);
            if field == "patchesJson6902" {
                // There a patch is text.
                for entry in more.iter_mut().filter_map(Value::as_object_mut) {
                    let text = entry.get("patch").map(Value::to_string);
                    entry.insert("patch".into(), text.into());
                }
            } else if field == "patchesStrategicMerge" {
                more = more.iter().map(|patch| patch.to_string().into()).collect();
            }
            list(&mut own, field)?.extend(more);
        }
        for component in entries("components") {
            let component = component.as_str().unwrap_or_default();
            if component.contains("://") || component.starts_with('/') || component.starts_with("git@") {
                return Err(format!("component path '{component}' must be local and relative"));
            }
            let at = self.checkout.show(&folder.join(component));
            let missing = self.checkout.peek(&at).is_err();
            if staged.add_component(self.checkout, component, &self.pins)?
                || !missing
                || flux.written["ignoreMissingComponents"] != true
            {
                list(&mut own, "components")?.push(component.into());
            }
        }
        images(list(&mut own, "images")?, entries("images"));
        own.retain(|_, value| !value.as_array().is_some_and(Vec::is_empty));
        let written = FILES.iter().map(|name| self.checkout.show(&folder.join(name)));
        let is_there = written.into_iter().any(|path| self.checkout.peek(&path).is_ok());
        if is_there && !own.contains_key("resources") {
            // One that lists nothing is no error to Flux, which asks for this so that it is not empty to Kustomize.
            own.insert("buildMetadata".into(), json!(["originAnnotations"]));
        }
        staged.strip = ask_origins(&mut own);
        staged.change(&path, &own);
        staged.own = Some((path, own));
        Ok(())
    }

    /// Values files that a HelmRelease names in place of the chart's own, of which nothing is left. Each is given to Helm by its
    /// own name, so that what comes of it has its place there.
    pub(in super::super) fn own_values(
        &mut self,
        flux: &Flux,
        staged: &mut stage::Staged,
    ) -> Option<Vec<(String, Vec<u8>)>> {
        let mut all = Vec::new();
        if flux.values_files.is_empty() {
            return Some(all);
        }
        for name in &flux.values_files {
            // Of this repository by their path in it, of a chart of another place by that in the chart.
            let found = match &self.taken {
                Some((_, taken)) => {
                    taken.checkout.resolve(&taken.chart.top().join(name).display().to_string())
                }
                None => self.checkout.resolve(name),
            };
            let read = match found {
                Err(_) if flux.ignore_missing_values_files => {
                    let message = format!(
                        "values file {name} is not there, and is passed over (ignoreMissingValuesFiles)"
                    );
                    self.report(problems::values_passed_over, ".helm.valueFiles", message);
                    continue;
                }
                Err(_) if self.taken.is_some() => Err("does not exist in the chart".to_owned()),
                Err(_) => {
                    Err("does not exist in this repository, from the root of which Flux takes it".to_owned())
                }
                Ok(path) => checkout::read_text(&path)
                    .map_err(|why| why.to_string())
                    .and_then(|text| values::read(&text).map(|_| text))
                    .map(|text| {
                        (if self.taken.is_some() { name.clone() } else { self.checkout.show(&path) }, text)
                    }),
            };
            match read {
                Ok((shown, text)) => all.push((shown, text.into_bytes())),
                Err(why) => {
                    self.fail(
                        problems::flux_values_missing,
                        ".helm.valueFiles",
                        format!("values file {name} {why}"),
                    );
                    return None;
                }
            }
        }
        staged.files.insert(PathBuf::from("values.yaml"), b"{}\n".to_vec());
        Some(all)
    }

    /// `postRenderers` and `commonMetadata` of a HelmRelease.
    pub(in super::super) fn post_render(&mut self, mut read: Manifests) -> Result<Manifests, Failure> {
        const INPUT: &str = "helm-output.yaml";
        let Some(flux) = self.asked().flux.clone() else { return Ok(read) };
        flux.drop_hooks(&mut read, &self.application.key);
        for (n, renderer) in flux.post_renderers.iter().enumerate() {
            let subject = format!("{} postRenderers {n}", self.subject());
            let kustomize = &renderer["kustomize"];
            let entries = |field: &str| kustomize[field].as_array().cloned().unwrap_or_default();
            let own = json!({
                "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
                "resources": [INPUT], "patches": entries("patches"), "images": entries("images"),
            });
            let mut text = String::new();
            let mut places = BTreeMap::new();
            for document in &read.documents {
                text.extend(["---\n", &portolan_model::yaml::of_json(&document.json), "\n"]);
                places.insert(identity(&document.json), document.origin.clone());
            }
            if places.is_empty() {
                break;
            }
            let staged = files::Staged::of([
                (PathBuf::from("kustomization.yaml"), portolan_model::yaml::of_json(&own).into_bytes()),
                (PathBuf::from(INPUT), text.into_bytes()),
            ]);
            let tools = self.context.tools;
            let options = Kustomize::default();
            let key = build::key(tools, &staged, &options);
            let text = build::build(tools, &key, &staged, &options, &subject, Some(self.patience()))?;
            let first = read.documents.first().map(|document| document.origin.clone()).unwrap_or_default();
            let (documents, _) = portolan_model::yaml::load(&text);
            let documents = documents.into_iter().map(|document| {
                let origin = places.get(&identity(&document.json)).unwrap_or(&first).clone();
                Document { json: document.json.into(), origin }
            });
            read.documents = documents.collect();
        }
        flux.finish(&mut read, &self.application.key, &[]);
        Ok(read)
    }
}

fn identity(json: &Value) -> String {
    let metadata = &json["metadata"];
    format!("{} {} {} {}", json["apiVersion"], json["kind"], metadata["namespace"], metadata["name"])
}

fn list<'a>(own: &'a mut Map<String, Value>, field: &str) -> Result<&'a mut Vec<Value>, String> {
    let entry = own.entry(field).or_insert_with(|| json!([]));
    if entry.is_null() {
        *entry = json!([]);
    }
    entry.as_array_mut().ok_or_else(|| format!("{field} of the kustomization is no list"))
}

/// Lays images over those of the same name, field by field; tag and digest are one.
fn images(all: &mut Vec<Value>, more: Vec<Value>) {
    for image in more {
        let mut mappings = all.iter_mut().filter_map(Value::as_object_mut);
        let Some(old) = mappings.find(|old| old.get("name").is_some_and(|name| *name == image["name"]))
        else {
            all.push(image);
            continue;
        };
        let said = |field: &str| image[field].as_str().is_some_and(|text| !text.is_empty());
        if said("newName") {
            old.insert("newName".into(), image["newName"].clone());
        }
        if said("newTag") || said("digest") {
            for field in ["newTag", "digest"] {
                match image.get(field) {
                    Some(value) => drop(old.insert(field.into(), value.clone())),
                    None => drop(old.remove(field)),
                }
            }
        }
    }
}
