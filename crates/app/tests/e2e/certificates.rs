//! Certificates of ca issuers.

use serde_json::Value;

use crate::instance::{Instance, envoy, first_steps};

fn finding(instance: &Instance, code: &str) -> Option<Value> {
    instance.status()["findings"].as_array()?.iter().find(|f| f["code"] == code).cloned()
}

/// A CA with another key does not re-issue its leaves, as in cert-manager: what is served stays valid for who trusts
/// `ca.pem`, and a warning says what to do.
#[test]
fn a_rotated_ca_leaves_the_served_chain_valid_and_is_a_warning() {
    let Some(envoy) = envoy("e2e rotated CA") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let before = instance.reach("app1.dev.example.com", "live");
    assert_eq!(finding(&instance, "PTL-0316"), None);
    // Both are signed in one go: their requests show it all the same.
    for request in ["cert-manager/internal-ca-1", "gateway-system/wildcard-dev-1"] {
        let output = instance.run(&["get", "certificaterequest", request, "--output", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let conditions = json["status"]["conditions"].as_array().unwrap();
        let ready = conditions.iter().find(|c| c["type"] == "Ready").unwrap();
        assert_eq!((&ready["status"], &ready["reason"]), (&"True".into(), &"Issued".into()), "{json:#}");
        assert!(json["status"]["ca"].is_string(), "{json:#}");
    }
    assert!(instance.run(&["renew", "cert-manager/internal-ca"]).status.success());
    let warning = instance.wait("the warning", || finding(&instance, "PTL-0316"));
    assert_eq!(warning["object"], "Certificate/gateway-system/wildcard-dev");
    assert_eq!(warning["severity"], "warning");
    assert_eq!(warning["file"], "certificates.yaml");
    let now = instance.reach("app1.dev.example.com", "live");
    assert_eq!(now["certificate"]["serial"], before["certificate"]["serial"], "not re-issued");
    // A new client with the ca.pem of now.
    let answer = instance.client(&now).get(now["url"].as_str().unwrap()).send().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(instance.run(&["renew", "gateway-system/wildcard-dev"]).status.success());
    instance.wait("the warning to go", || finding(&instance, "PTL-0316").is_none().then_some(()));
    let renewed = instance.reach("app1.dev.example.com", "live");
    assert_eq!(instance.client(&renewed).get(renewed["url"].as_str().unwrap()).send().unwrap().status(), 200);
}

/// What the user changes in a Certificate is made anew, also what the certificate itself would not show.
#[test]
fn an_edit_of_the_request_or_the_key_makes_another_certificate() {
    let Some(envoy) = envoy("e2e edited certificate") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let mut serial = instance.reach("app1.dev.example.com", "live")["certificate"]["serial"].clone();
    for (from, to) in [
        ("renewBefore: 168h", "renewBefore: 100h\n  duration: 2000h"),
        ("duration: 2000h", "duration: 2000h\n  usages: [server auth, digital signature]"),
        (
            "usages: [server auth, digital signature]",
            "usages: [server auth, digital signature]\n  subject: {organizations: [Example]}",
        ),
    ] {
        instance.edit("certificates.yaml", from, to);
        let now = instance.wait("another certificate", || {
            instance
                .entry("app1.dev.example.com")
                .filter(|e| e["state"] == "live" && e["certificate"]["serial"] != serial)
        });
        serial = now["certificate"]["serial"].clone();
    }
    // What does not change the request does not.
    instance.edit("certificates.yaml", "renewBefore: 100h", "renewBefore: 90h");
    instance.wait("the edit to be taken", || {
        let output = instance.run(&["get", "certificate", "gateway-system/wildcard-dev", "--output", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        (json["spec"]["renewBefore"] == "90h" && json["status"]["revision"] == 4).then_some(())
    });
    assert_eq!(instance.reach("app1.dev.example.com", "live")["certificate"]["serial"], serial);
}

/// A second Certificate of an earlier name does not freeze the owner's template, and takes nothing away.
#[test]
fn the_template_of_the_owner_alone_counts() {
    let Some(envoy) = envoy("e2e template of the owner") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let certificate = |name: &str, template: &str| {
        format!(
            "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {{name: own, namespace: shop}}\nspec: {{selfSigned: {{}}}}\n---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  secretName: shared\n  dnsNames: [{name}.shop.test]\n  privateKey: {{algorithm: ECDSA}}\n  issuerRef: {{name: own}}\n{template}"
        )
    };
    let label = |of: &str| {
        let output = instance.run(&["get", "secret", "shop/shared", "--output", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).ok()?;
        json["metadata"]["labels"].get(of).map(|value| value.as_str().unwrap_or_default().to_owned())
    };
    instance.write("b.yaml", &certificate("b", "  secretTemplate: {labels: {step: one}}\n"));
    instance.wait("the template", || label("step").filter(|step| step == "one"));
    let second = certificate("a", "  secretTemplate: {labels: {mine: x}}\n");
    instance.write("a.yaml", second.split_once("---\n").unwrap().1);
    instance.wait("the finding", || finding(&instance, "PTL-0310"));
    instance.write("b.yaml", &certificate("b", "  secretTemplate: {labels: {step: two}}\n"));
    instance.wait("the owner's edit", || label("step").filter(|step| step == "two"));
    assert_eq!(label("mine"), None);
}

/// The Secret that a Certificate writes is never an account's: nothing is registered, and one finding says why.
#[test]
fn an_account_key_and_a_tls_key_never_share_a_secret() {
    let Some(envoy) = envoy("e2e account key") else { return };
    let instance = Instance::start(first_steps(), envoy);
    instance.write(
        "pub.yaml",
        "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: pub, namespace: shop}\nspec:\n  acme:\n    server: https://acme.example.com/directory\n    privateKeySecretRef: {name: shop-tls}\n    solvers: [{dns01: {cloudDNS: {project: p}}}]\n---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: shop, namespace: shop}\nspec:\n  secretName: shop-tls\n  dnsNames: [shop.dev.example.com]\n  privateKey: {algorithm: ECDSA}\n  issuerRef: {name: pub}\n",
    );
    let told = instance.wait("the finding", || finding(&instance, "PTL-0355"));
    assert_eq!(told["object"], "Issuer/shop/pub");
    assert!(!instance.run(&["get", "secret", "shop/shop-tls"]).status.success(), "neither key is there");
    instance.edit(
        "pub.yaml",
        "privateKeySecretRef: {name: shop-tls}",
        "privateKeySecretRef: {name: account}",
    );
    let kind = |secret: &str| {
        let output = instance.run(&["get", "secret", secret, "--output", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).ok()?;
        json["type"].as_str().map(str::to_owned)
    };
    instance.wait("the certificate", || kind("shop/shop-tls").filter(|kind| kind == "kubernetes.io/tls"));
    assert_eq!(kind("shop/account").as_deref(), Some("Opaque"));
}

/// Keystores stand in the Secret beside what is served, follow their password without another certificate, and go when
/// they are not asked for any more.
#[test]
fn keystores_follow_their_password_and_their_certificate() {
    let Some(envoy) = envoy("e2e keystores") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let secret = || -> Option<Value> {
        let output = instance.run(&["get", "secret", "shop/shop-tls", "--output", "json"]);
        serde_json::from_slice(&output.stdout).ok()
    };
    let entries = |secret: &Value| -> Vec<String> {
        secret["data"].as_object().into_iter().flatten().map(|(entry, _)| entry.clone()).collect()
    };
    let note = |secret: &Value| secret["metadata"]["annotations"]["portolan.dev/keystores"].clone();
    let serial = || {
        let output = instance.run(&["get", "certificate", "shop/shop", "--output", "json"]);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["status"]["revision"].clone()
    };
    instance.write(
        "shop.yaml",
        "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: own, namespace: shop}\nspec: {selfSigned: {}}\n---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: shop, namespace: shop}\nspec:\n  secretName: shop-tls\n  commonName: shop.test\n  privateKey: {algorithm: ECDSA}\n  issuerRef: {name: own}\n  keystores:\n    jks: {create: true, passwordSecretRef: {name: store, key: password}}\n    pkcs12: {create: true, passwordSecretRef: {name: store, key: password}}\n",
    );
    let told = instance.wait("the finding", || finding(&instance, "PTL-0338"));
    assert_eq!(told["object"], "Certificate/shop/shop");
    assert_eq!(secret(), None, "not without its keystores");
    let password = |word: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: store, namespace: shop}}\nstringData: {{password: {word}}}\n"
        )
    };
    instance.write("store.yaml", &password("changeit"));
    let first = instance.wait("the Secret", secret);
    let all =
        ["ca.crt", "keystore.jks", "keystore.p12", "tls.crt", "tls.key", "truststore.jks", "truststore.p12"];
    assert_eq!(entries(&first), all);
    assert_eq!(finding(&instance, "PTL-0338"), None);
    instance.write("store.yaml", &password("another"));
    instance.wait("the other password", || secret().filter(|now| note(now) != note(&first)));
    instance.edit("shop.yaml", "    jks: {create: true", "    jks: {create: false");
    let less = instance.wait("one store less", || secret().filter(|now| entries(now).len() == 5));
    assert_eq!(entries(&less), ["ca.crt", "keystore.p12", "tls.crt", "tls.key", "truststore.p12"]);
    assert_eq!(serial(), 1, "no other certificate");
    let folder = instance.run(&["get", "secret", "shop/shop-tls", "--output", "yaml"]);
    assert!(!String::from_utf8_lossy(&folder.stdout).contains("another"));
}

/// A Gateway names an issuer, and nobody writes a Certificate: it is made and served, follows the Gateway over a restart, goes
/// when the annotation goes, and gives way to one of the same name in the repository. What was issued stays.
#[test]
fn a_gateway_that_names_an_issuer_gets_its_certificate() {
    let Some(envoy) = envoy("e2e gateway shim") else { return };
    let mut instance = Instance::start(first_steps(), envoy);
    let gateway = |annotations: &str| {
        format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: shim}}\n---\napiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {{name: own, namespace: shim}}\nspec: {{selfSigned: {{}}}}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gate, namespace: shim, annotations: {{{annotations}}}}}\nspec:\n  gatewayClassName: infra-shared-01\n  listeners: [{{name: https, port: 443, protocol: HTTPS, hostname: app.shim.example.com, tls: {{certificateRefs: [{{name: app-tls}}]}}, allowedRoutes: {{namespaces: {{from: All}}}}}}]\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: shim, namespace: team-a}}\nspec:\n  parentRefs: [{{name: gate, namespace: shim}}]\n  hostnames: [app.shim.example.com]\n  rules: [{{backendRefs: [{{name: app1, port: 80}}]}}]\n"
        )
    };
    let certificate = |instance: &Instance| -> Option<Value> {
        let output = instance.run(&["get", "certificate", "shim/app-tls", "--output", "json"]);
        serde_json::from_slice(&output.stdout).ok()
    };
    instance.write("shim.yaml", &gateway("cert-manager.io/issuer: own, cert-manager.io/duration: 48h"));
    let entry = instance.reach("app.shim.example.com", "live");
    let made = certificate(&instance).unwrap();
    assert_eq!(made["spec"]["dnsNames"], serde_json::json!(["app.shim.example.com"]));
    assert_eq!(made["status"]["conditions"][0]["status"], "True", "{made:#}");
    let owner = &made["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["name"]), (&"Gateway".into(), &"gate".into()));
    assert_ne!(owner["uid"], "");
    // A restart issues nothing.
    instance.kill_nine();
    instance.up();
    let again = instance.reach("app.shim.example.com", "live");
    assert_eq!(again["certificate"]["serial"], entry["certificate"]["serial"]);
    instance.wait("the Certificate after a restart", || certificate(&instance));
    // What cannot be used changes nothing.
    instance.write("shim.yaml", &gateway("cert-manager.io/issuer: own, cert-manager.io/duration: 2d"));
    let told = instance.wait("the finding", || finding(&instance, "PTL-0361"));
    assert_eq!((&told["object"], &told["file"]), (&"Gateway/shim/gate".into(), &"shim.yaml".into()));
    assert_eq!(certificate(&instance).unwrap()["spec"]["duration"], "48h");
    // One that somebody writes takes its place.
    let written = "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: app-tls, namespace: shim}\nspec: {secretName: app-tls, dnsNames: [app.shim.example.com], duration: 72h, issuerRef: {name: own}}\n";
    instance.write("written.yaml", written);
    instance.write("shim.yaml", &gateway("cert-manager.io/issuer: own, cert-manager.io/duration: 48h"));
    instance.wait("who wrote it", || finding(&instance, "PTL-0363"));
    let theirs = certificate(&instance).unwrap();
    assert_eq!(
        (&theirs["spec"]["duration"], theirs["metadata"].get("ownerReferences")),
        (&"72h".into(), None)
    );
    std::fs::remove_file(instance.dir.path().join("written.yaml")).unwrap();
    instance.wait("our own again", || {
        certificate(&instance).filter(|made| made["metadata"]["ownerReferences"][0]["kind"] == "Gateway")
    });
    instance.write("shim.yaml", &gateway(""));
    instance.wait("the Certificate to go", || certificate(&instance).is_none().then_some(()));
    let secret = instance.run(&["get", "secret", "shim/app-tls"]);
    assert!(secret.status.success(), "what was issued stays");
}

/// Whose a Certificate is outlives a restart: a newcomer whose name comes first does not get it, a broken annotation does not lose
/// it, and it goes where the annotation went while nothing ran.
#[test]
fn a_restart_leaves_the_certificate_of_a_gateway_with_whom_it_was_made_for() {
    let Some(envoy) = envoy("e2e gateway shim over a restart") else { return };
    let mut instance = Instance::start(first_steps(), envoy);
    let gateway = |name: &str, annotations: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: {name}, namespace: shim, annotations: {{{annotations}}}}}\nspec:\n  gatewayClassName: infra-shared-01\n  listeners: [{{name: https, port: 443, protocol: HTTPS, hostname: {name}.shim.example.com, tls: {{certificateRefs: [{{name: shared}}]}}, allowedRoutes: {{namespaces: {{from: All}}}}}}]\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: shim-{name}, namespace: team-a}}\nspec:\n  parentRefs: [{{name: {name}, namespace: shim}}]\n  hostnames: [{name}.shim.example.com]\n  rules: [{{backendRefs: [{{name: app1, port: 80}}]}}]\n"
        )
    };
    let certificate = |instance: &Instance| -> Option<Value> {
        let output = instance.run(&["get", "certificate", "shim/shared", "--output", "json"]);
        serde_json::from_slice(&output.stdout).ok()
    };
    let own = "cert-manager.io/issuer: own, cert-manager.io/duration: 48h";
    instance.write("shim.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shim}\n---\napiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: own, namespace: shim}\nspec: {selfSigned: {}}\n---\napiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: other, namespace: shim}\nspec: {selfSigned: {}}\n");
    instance.write("zg.yaml", &gateway("zg", own));
    let entry = instance.reach("zg.shim.example.com", "live");
    let made = certificate(&instance).unwrap();
    instance.write("ag.yaml", &gateway("ag", "cert-manager.io/issuer: other"));
    let told = instance.wait("who keeps it", || finding(&instance, "PTL-0363"));
    assert_eq!(told["object"], "Gateway/shim/ag");
    instance.kill_nine();
    instance.up();
    let again = instance.reach("zg.shim.example.com", "live");
    assert_eq!(again["certificate"]["serial"], entry["certificate"]["serial"]);
    let told = instance.wait("who keeps it", || finding(&instance, "PTL-0363"));
    assert_eq!(told["object"], "Gateway/shim/ag");
    let kept = certificate(&instance).unwrap();
    assert_eq!((&kept["spec"], &kept["metadata"]), (&made["spec"], &made["metadata"]));
    // What cannot be used changes nothing, whenever it came.
    instance.write("zg.yaml", &gateway("zg", "cert-manager.io/issuer: own, cert-manager.io/duration: xx"));
    instance.wait("the finding", || finding(&instance, "PTL-0361"));
    instance.kill_nine();
    instance.up();
    instance.wait("the finding", || finding(&instance, "PTL-0361"));
    let again = instance.reach("zg.shim.example.com", "live");
    assert_eq!(again["certificate"]["serial"], entry["certificate"]["serial"]);
    assert_eq!(certificate(&instance).unwrap()["spec"], made["spec"]);
    instance.kill_nine();
    std::fs::remove_file(instance.dir.path().join("ag.yaml")).unwrap();
    instance.write("zg.yaml", &gateway("zg", ""));
    instance.up();
    instance.wait("the Certificate to go", || certificate(&instance).is_none().then_some(()));
    instance.reach("zg.shim.example.com", "live");
}

/// Its CA is not there yet: who asks for it has a certificate that nobody can verify, its host is pending, also over a restart,
/// and what the issuer signs takes its place.
#[test]
fn a_temporary_certificate_is_served_until_the_issuer_has_signed_and_is_never_live() {
    let Some(envoy) = envoy("e2e temporary certificate") else { return };
    let mut instance = Instance::start(first_steps(), envoy);
    let certificate = |name: &str, marks: &str| {
        format!(
            "---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{name: {name}, namespace: late, annotations: {{{marks}}}}}\nspec: {{secretName: {name}, dnsNames: [app.late.example.com], privateKey: {{algorithm: ECDSA}}, issuerRef: {{name: late}}}}\n"
        )
    };
    instance.write("late.yaml", &format!("{}{}{}",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: late}\n---\napiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: late, namespace: late}\nspec: {ca: {secretName: root}}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gate, namespace: late}\nspec:\n  gatewayClassName: infra-shared-01\n  listeners: [{name: https, port: 443, protocol: HTTPS, hostname: app.late.example.com, tls: {certificateRefs: [{name: app}]}, allowedRoutes: {namespaces: {from: All}}}]\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: late, namespace: team-a}\nspec:\n  parentRefs: [{name: gate, namespace: late}]\n  hostnames: [app.late.example.com]\n  rules: [{backendRefs: [{name: app1, port: 80}]}]\n",
        certificate("app", "cert-manager.io/issue-temporary-certificate: \"true\""),
        certificate("not-asked", ""),
    ));
    let get = |instance: &Instance, kind: &str, name: &str| -> Option<Value> {
        let output = instance.run(&["get", kind, &format!("late/{name}"), "--output", "json"]);
        serde_json::from_slice(&output.stdout).ok()
    };
    let temporary = |instance: &Instance| {
        instance.wait("the temporary certificate", || {
            let entry = instance.entry("app.late.example.com")?;
            (entry["message"] == "Secret late/app holds a temporary certificate until its issuer has signed")
                .then_some(entry)
        })
    };
    let entry = temporary(&instance);
    assert_eq!(entry["state"], "pending");
    assert_eq!(entry["dns"]["records"], serde_json::json!([]), "nobody is led to it");
    let secret = get(&instance, "secret", "app").unwrap();
    let notes = &secret["metadata"]["annotations"];
    assert_eq!(
        (&notes["cert-manager.io/certificate-name"], notes.get("cert-manager.io/issuer-name")),
        (&"app".into(), None)
    );
    let ready =
        |instance: &Instance| get(instance, "certificate", "app").unwrap()["status"]["conditions"][0].clone();
    assert_eq!(
        (&ready(&instance)["status"], &ready(&instance)["reason"]),
        (&"False".into(), &"IncorrectIssuer".into())
    );
    assert!(get(&instance, "secret", "not-asked").is_none(), "who does not ask has none");
    // It is served: who looks at nothing gets an answer, who verifies does not.
    let (url, at) = (entry["url"].as_str().unwrap(), entry["address"].as_str().unwrap());
    let at = std::net::SocketAddr::new(
        at.parse().unwrap(),
        u16::try_from(entry["port"].as_u64().unwrap()).unwrap(),
    );
    let blind = reqwest::blocking::Client::builder()
        .danger_accept_invalid_certs(true)
        .resolve("app.late.example.com", at)
        .build()
        .unwrap();
    let answer = instance.wait("an answer", || blind.get(url).send().ok());
    assert_eq!(answer.status(), 200);
    assert!(instance.client(&entry).get(url).send().is_err(), "nobody can verify it");
    // Nothing is made anew by a restart.
    instance.kill_nine();
    instance.up();
    temporary(&instance);
    let again = get(&instance, "secret", "app").unwrap();
    assert_eq!(again["metadata"]["resourceVersion"], secret["metadata"]["resourceVersion"]);
    // The CA comes.
    instance.write("root.yaml", "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: own, namespace: late}\nspec: {selfSigned: {}}\n---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: root, namespace: late}\nspec: {secretName: root, isCA: true, commonName: late-root, privateKey: {algorithm: ECDSA}, issuerRef: {name: own}}\n");
    let signed = instance.wait("what the issuer signed", || {
        get(&instance, "secret", "app")
            .filter(|secret| secret["metadata"]["annotations"]["cert-manager.io/issuer-name"] == "late")
    });
    assert_eq!(signed["metadata"]["annotations"]["portolan.dev/certificate-revision"], "1");
    let entry = instance.reach("app.late.example.com", "live");
    assert_eq!(instance.client(&entry).get(entry["url"].as_str().unwrap()).send().unwrap().status(), 200);
    assert_ne!(entry["dns"]["records"], serde_json::json!([]));
    instance.wait("Ready", || (ready(&instance)["status"] == "True").then_some(()));
}
