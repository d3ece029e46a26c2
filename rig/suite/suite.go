// Package suite names the official conformance suite of the Gateway API that the rig builds (rig/setup): in a module of its own, so that
// nothing of the rig's changes the libraries that it pins, and because it needs a newer Go.
package suite

import _ "sigs.k8s.io/gateway-api/conformance"
