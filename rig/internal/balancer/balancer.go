// Package balancer stands in for what a cloud or MetalLB does for Services of type LoadBalancer: each gets an address of the rig's gateway range,
// at which connections and datagrams are taken and handed to a Pod that is ready.
package balancer

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"net"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listersv1 "k8s.io/client-go/listers/core/v1"
	listersdiscovery "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// first is the first address that is given; what is below is left to those who give addresses of the range themselves.
var first = net.IPv4(10, 80, 128, 1)

// Balancer serves all Services of the type.
type Balancer struct {
	client   kubernetes.Interface
	services listersv1.ServiceLister
	slices   listersdiscovery.EndpointSliceLister
	given    map[types.UID]net.IP
	next     uint32
	fronts   map[string]*front
}

// front is what listens at one address and port.
type front struct {
	mu       sync.Mutex
	backends []string
	close    func()
}

// Start begins to serve; it returns when what is there already is known.
func Start(ctx context.Context, client kubernetes.Interface) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	b := &Balancer{
		client: client, services: factory.Core().V1().Services().Lister(), slices: factory.Discovery().V1().EndpointSlices().Lister(),
		given: map[types.UID]net.IP{}, fronts: map[string]*front{},
	}
	changed := make(chan struct{}, 1)
	stir := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: stir, UpdateFunc: func(_, now any) { stir(now) }, DeleteFunc: stir}
	for _, informer := range []cache.SharedIndexInformer{factory.Core().V1().Services().Informer(), factory.Discovery().V1().EndpointSlices().Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("the cache of %s was not filled", kind)
		}
	}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
				b.serve(ctx)
			}
		}
	}()
	return nil
}

// serve makes what listens that of the Services that are there.
func (b *Balancer) serve(ctx context.Context) {
	services, err := b.services.List(labels.Everything())
	if err != nil {
		log.Printf("balancer: %v", err)
		return
	}
	wanted := map[string][]string{}
	here := map[types.UID]bool{}
	for _, service := range services {
		if service.Spec.Type != corev1.ServiceTypeLoadBalancer || service.DeletionTimestamp != nil {
			continue
		}
		here[service.UID] = true
		at := b.address(service)
		for _, port := range service.Spec.Ports {
			key := fmt.Sprintf("%s %s", port.Protocol, net.JoinHostPort(at.String(), fmt.Sprint(port.Port)))
			wanted[key] = b.ready(service, port)
		}
		b.tell(ctx, service, at)
	}
	maps.DeleteFunc(b.given, func(uid types.UID, _ net.IP) bool { return !here[uid] })
	maps.DeleteFunc(b.fronts, func(key string, f *front) bool {
		_, stays := wanted[key]
		if !stays {
			f.close()
		}
		return !stays
	})
	for key, backends := range wanted {
		f, found := b.fronts[key]
		if !found {
			if f, err = open(key); err != nil {
				log.Printf("balancer: %v", err)
				continue
			}
			b.fronts[key] = f
		}
		f.mu.Lock()
		f.backends = backends
		f.mu.Unlock()
	}
}

// address is the Service's for as long as it is there; none is given twice.
func (b *Balancer) address(service *corev1.Service) net.IP {
	if at, found := b.given[service.UID]; found {
		return at
	}
	at := slices.Clone(first.To4())
	number := uint32(at[2])<<8 + uint32(at[3]) + b.next
	at[2], at[3] = byte(number>>8), byte(number) //nolint:gosec // two bytes of it
	b.next++
	b.given[service.UID] = at
	return at
}

// ready lists where a port of a Service is served.
func (b *Balancer) ready(service *corev1.Service, port corev1.ServicePort) []string {
	of := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name})
	found, err := b.slices.EndpointSlices(service.Namespace).List(of)
	if err != nil {
		return nil
	}
	var out []string
	for _, slice := range found {
		for _, at := range slice.Ports {
			if at.Name == nil || *at.Name != port.Name || at.Port == nil {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
					out = append(out, net.JoinHostPort(endpoint.Addresses[0], fmt.Sprint(*at.Port)))
				}
			}
		}
	}
	return out
}

// tell writes the address where everybody reads it.
func (b *Balancer) tell(ctx context.Context, service *corev1.Service, at net.IP) {
	ingress := service.Status.LoadBalancer.Ingress
	if len(ingress) == 1 && ingress[0].IP == at.String() {
		return
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": at.String()}}}}})
	if err != nil {
		log.Printf("balancer: %v", err)
		return
	}
	_, err = b.client.CoreV1().Services(service.Namespace).Patch(ctx, service.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		log.Printf("balancer: %s/%s: %v", service.Namespace, service.Name, err)
	}
}
