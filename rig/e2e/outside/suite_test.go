package outside

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSuiteFailsForTheRightReasonWithoutImplementation(t *testing.T) {
	out, code := rig(t, "conformance", "--gateway=none", "--timeouts=GWCMustBeAccepted:5")
	if code == 0 || !strings.Contains(out, "error waiting for gateway-conformance GatewayClass to have Accepted condition to be set") {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	if strings.Contains(out, "--- PASS: TestConformance/") {
		t.Errorf("something passed:\n%s", out)
	}
}

func TestPassAndFailOfTheSuiteMeanSomething(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report.yaml")
	out, code := rig(t, "conformance", "--gateway=stub", "--profile=GATEWAY-HTTP", "--test=HTTPRouteSimpleSameNamespace", "--report="+report)
	if code != 0 || !strings.Contains(out, "--- PASS: TestConformance/HTTPRouteSimpleSameNamespace ") {
		t.Fatalf("what the stub can: exit code %d:\n%s", code, out)
	}
	raw, err := os.ReadFile(report)
	if err != nil || !strings.Contains(string(raw), "kind: ConformanceReport") || !strings.Contains(string(raw), "gatewayAPIVersion: v1.7") {
		t.Errorf("the report: %v\n%s", err, raw)
	}

	out, code = rig(t, "conformance", "--gateway=stub", "--profile=GATEWAY-HTTP", "--test=HTTPRouteHeaderMatching", "--timeouts=MaxTimeToConsistency:3")
	if code == 0 || !strings.Contains(out, "--- FAIL: TestConformance/HTTPRouteHeaderMatching ") {
		t.Fatalf("what the stub cannot: exit code %d:\n%s", code, out)
	}
	// It fails in the cases that need header matching, and only there: those that the first rule answers pass.
	for _, line := range []string{
		"--- PASS: TestConformance/HTTPRouteHeaderMatching/0_request_to_'/'_with_headers_should_go_to_infra-backend-v1",
		"--- FAIL: TestConformance/HTTPRouteHeaderMatching/1_request_to_'/'_with_headers_should_go_to_infra-backend-v2",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in:\n%s", line, out)
		}
	}
}
