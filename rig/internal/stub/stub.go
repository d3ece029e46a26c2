// Package stub is the most trivial Gateway that anything can pass the suite with: it accepts whatever it sees and sends
// every request of a listener to the first backend of the first rule of the first route. It knows no match. The rig's
// own tests use it to prove that a pass of the suite means something, and so does a fail.
package stub

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
)

// Controller is the name by which the stub takes GatewayClasses.
const Controller = "rig.portolan.dev/stub"

type stub struct {
	client client.Client

	mu        sync.Mutex
	addresses map[string]string
	servers   map[string]*http.Server
	// backends maps a Gateway's address to the endpoint of its only backend.
	backends map[string]string
}

// Run serves until ctx ends.
func Run(ctx context.Context, config *rest.Config) error {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	if err := gatewayv1.Install(scheme); err != nil {
		return err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	s := &stub{client: c, addresses: map[string]string{}, servers: map[string]*http.Server{}, backends: map[string]string{}}
	for ctx.Err() == nil {
		if err := s.round(ctx); err != nil && ctx.Err() == nil {
			log.Printf("stub: %v", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
	}
	return nil
}

// round looks at everything anew; a stub has no need to be clever.
func (s *stub) round(ctx context.Context) error {
	classes, gateways, routes := &gatewayv1.GatewayClassList{}, &gatewayv1.GatewayList{}, &gatewayv1.HTTPRouteList{}
	for _, list := range []client.ObjectList{classes, gateways, routes} {
		if err := s.client.List(ctx, list); err != nil {
			return err
		}
	}
	ours := map[gatewayv1.ObjectName]bool{}
	for i := range classes.Items {
		class := &classes.Items[i]
		if class.Spec.ControllerName != Controller {
			continue
		}
		ours[gatewayv1.ObjectName(class.Name)] = true
		set(&class.Status.Conditions, "Accepted", class.Generation)
		class.Status.SupportedFeatures = []gatewayv1.SupportedFeature{{Name: "Gateway"}, {Name: "HTTPRoute"}, {Name: "ReferenceGrant"}}
		if err := s.client.Status().Update(ctx, class); err != nil {
			return err
		}
	}
	for i := range gateways.Items {
		if gateway := &gateways.Items[i]; ours[gateway.Spec.GatewayClassName] {
			if err := s.gateway(ctx, gateway, routes.Items); err != nil {
				return fmt.Errorf("gateway %s: %w", gateway.Name, err)
			}
		}
	}
	return nil
}

func set(conditions *[]metav1.Condition, kind string, generation int64) {
	apimeta.SetStatusCondition(conditions, metav1.Condition{
		Type: kind, Status: metav1.ConditionTrue, Reason: kind, ObservedGeneration: generation, Message: "the stub says yes to everything",
	})
}

func (s *stub) gateway(ctx context.Context, gateway *gatewayv1.Gateway, routes []gatewayv1.HTTPRoute) error {
	address := s.address(gateway.Namespace + "/" + gateway.Name)
	var attached int32
	var chosen *gatewayv1.HTTPRoute
	for i := range routes {
		route := &routes[i]
		for _, parent := range route.Spec.ParentRefs {
			if string(parent.Name) != gateway.Name || (parent.Namespace == nil && route.Namespace != gateway.Namespace) ||
				(parent.Namespace != nil && string(*parent.Namespace) != gateway.Namespace) {
				continue
			}
			attached++
			if chosen == nil {
				chosen = route
			}
			if err := s.accept(ctx, route, parent); err != nil {
				return err
			}
		}
	}
	if chosen != nil {
		if err := s.point(ctx, address, chosen); err != nil {
			return err
		}
	}
	ip := gatewayv1.IPAddressType
	gateway.Status.Addresses = []gatewayv1.GatewayStatusAddress{{Type: &ip, Value: address}}
	set(&gateway.Status.Conditions, "Accepted", gateway.Generation)
	set(&gateway.Status.Conditions, "Programmed", gateway.Generation)
	gateway.Status.Listeners = nil
	for _, listener := range gateway.Spec.Listeners {
		status := gatewayv1.ListenerStatus{
			Name: listener.Name, AttachedRoutes: attached,
			SupportedKinds: []gatewayv1.RouteGroupKind{{Group: group(), Kind: "HTTPRoute"}},
		}
		for _, kind := range []string{"Accepted", "Programmed", "ResolvedRefs"} {
			set(&status.Conditions, kind, gateway.Generation)
		}
		gateway.Status.Listeners = append(gateway.Status.Listeners, status)
		if listener.Protocol == gatewayv1.HTTPProtocolType {
			s.listen(address, int(listener.Port))
		}
	}
	return s.client.Status().Update(ctx, gateway)
}

func group() *gatewayv1.Group {
	name := gatewayv1.Group(gatewayv1.GroupName)
	return &name
}

func (s *stub) address(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, found := s.addresses[name]; !found {
		s.addresses[name] = fmt.Sprintf("10.80.0.%d", len(s.addresses)+1)
	}
	return s.addresses[name]
}

func (s *stub) accept(ctx context.Context, route *gatewayv1.HTTPRoute, parent gatewayv1.ParentReference) error {
	status := gatewayv1.RouteParentStatus{ParentRef: parent, ControllerName: Controller}
	set(&status.Conditions, "Accepted", route.Generation)
	set(&status.Conditions, "ResolvedRefs", route.Generation)
	for i, old := range route.Status.Parents {
		if old.ParentRef.Name == parent.Name {
			if old.Conditions[0].ObservedGeneration == route.Generation {
				return nil
			}
			route.Status.Parents = append(route.Status.Parents[:i], route.Status.Parents[i+1:]...)
			break
		}
	}
	route.Status.Parents = append(route.Status.Parents, status)
	return s.client.Status().Update(ctx, route)
}

// point sends a Gateway's requests to the first endpoint of the route's first backend.
func (s *stub) point(ctx context.Context, address string, route *gatewayv1.HTTPRoute) error {
	if len(route.Spec.Rules) == 0 || len(route.Spec.Rules[0].BackendRefs) == 0 {
		return nil
	}
	backend := route.Spec.Rules[0].BackendRefs[0]
	slices := &discoveryv1.EndpointSliceList{}
	if err := s.client.List(ctx, slices, client.InNamespace(route.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: string(backend.Name)}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.backends, address)
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			for _, port := range slice.Ports {
				// Port 8080 of the suite's services is the unnamed one or the first; only plain HTTP on 3000 is of use here.
				if port.Port != nil && *port.Port == 3000 && len(endpoint.Addresses) > 0 {
					s.backends[address] = net.JoinHostPort(endpoint.Addresses[0], strconv.Itoa(int(*port.Port)))
					return nil
				}
			}
		}
	}
	return nil
}

func (s *stub) listen(address string, port int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := net.JoinHostPort(address, strconv.Itoa(port))
	if s.servers[at] != nil {
		return
	}
	listener, err := net.Listen("tcp", at)
	if err != nil {
		log.Printf("stub: %v", err)
		return
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(request *httputil.ProxyRequest) {
		s.mu.Lock()
		defer s.mu.Unlock()
		request.SetURL(&url.URL{Scheme: "http", Host: s.backends[address]})
		request.Out.Host = request.In.Host
	}}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		known := s.backends[address] != ""
		s.mu.Unlock()
		if !known {
			http.Error(w, "no route", http.StatusNotFound)
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	s.servers[at] = server
	go func() { _ = server.Serve(listener) }()
}
