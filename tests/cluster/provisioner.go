package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
)

const (
	provisionerName = "redis-gitops.local/directory"

	// Annotations of the volume controller, as external provisioners read them:
	// k8s.io/component-helpers/storage/volume.
	storageProvisionerAnnotation = "volume.kubernetes.io/storage-provisioner"
	selectedNodeAnnotation       = "volume.kubernetes.io/selected-node"
	provisionedByAnnotation      = "pv.kubernetes.io/provisioned-by"
)

// provisioner gives each claim a directory on the host as a local volume of
// the node that the scheduler chose. Growing a claim is bookkeeping, for a
// directory has no size. One pass looks at everything: the objects are few.
type provisioner struct {
	client  kubernetes.Interface
	folder  string
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	classes storagelisters.StorageClassLister
}

func (c *cluster) startProvisioner() error {
	return c.start("provisioner", []string{c.self, "provisioner",
		"--kubeconfig", c.kubeconfig("provisioner"), "--volumes", c.path("volumes")}, 0)
}

func runProvisioner(args []string) error {
	flags := flag.NewFlagSet("cluster provisioner", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "`file` with the API server and a token")
	folder := flags.String("volumes", "", "`folder` below which each volume gets a directory")
	if err := flags.Parse(args); err != nil {
		return usageError(err)
	}
	config, err := restConfig(*kubeconfig, "directory-provisioner")
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("cannot make a client for the API server: %w", err)
	}
	if err := os.MkdirAll(*folder, 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of volumes: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	factory := informers.NewSharedInformerFactory(client, 0)
	p := &provisioner{
		client:  client,
		folder:  *folder,
		claims:  factory.Core().V1().PersistentVolumeClaims().Lister(),
		volumes: factory.Core().V1().PersistentVolumes().Lister(),
		classes: factory.Storage().V1().StorageClasses().Lister(),
	}
	changed := make(chan struct{}, 1)
	wake := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: wake, DeleteFunc: wake, UpdateFunc: func(_, new any) { wake(new) }}
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().PersistentVolumeClaims().Informer(),
		factory.Core().V1().PersistentVolumes().Informer(),
		factory.Storage().V1().StorageClasses().Informer(),
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("cannot watch: %w", err)
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	for ctx.Err() == nil {
		retry := time.Hour
		if err := p.pass(ctx); err != nil && ctx.Err() == nil {
			fmt.Printf("%s %v\n", time.Now().Format(time.RFC3339), err)
			retry = time.Second
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-time.After(retry):
		}
	}
	return nil
}

func (p *provisioner) pass(ctx context.Context) error {
	var failures []error
	claims, err := p.claims.List(labels.Everything())
	if err != nil {
		return err
	}
	for _, claim := range claims {
		if err := p.claim(ctx, claim); err != nil {
			failures = append(failures, fmt.Errorf("claim %s/%s: %w", claim.Namespace, claim.Name, err))
		}
	}
	volumes, err := p.volumes.List(labels.Everything())
	if err != nil {
		return err
	}
	for _, volume := range volumes {
		if err := p.release(ctx, volume); err != nil {
			failures = append(failures, fmt.Errorf("volume %s: %w", volume.Name, err))
		}
	}
	return errors.Join(failures...)
}

func (p *provisioner) claim(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if claim.DeletionTimestamp != nil {
		return nil
	}
	if claim.Spec.VolumeName != "" {
		return p.grow(ctx, claim)
	}
	if claim.Annotations[storageProvisionerAnnotation] != provisionerName || claim.Spec.StorageClassName == nil {
		return nil
	}
	class, err := p.classes.Get(*claim.Spec.StorageClassName)
	if err != nil {
		return err
	}
	node := claim.Annotations[selectedNodeAnnotation]
	if node == "" {
		// Immediate binding: any node will do.
		if class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer {
			return nil
		}
		node = "node1"
	}
	return p.provision(ctx, claim, class, node)
}

func (p *provisioner) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, node string) error {
	name := "pvc-" + string(claim.UID)
	if _, err := p.volumes.Get(name); err == nil {
		return nil
	}
	path := filepath.Join(p.folder, name)
	if err := os.MkdirAll(path, 0o777); err != nil {
		return fmt.Errorf("cannot make its directory: %w", err)
	}
	// Any user may write, whatever the umask: pods without an fsGroup too.
	if err := os.Chmod(path, 0o777); err != nil {
		return fmt.Errorf("cannot open its directory to every user: %w", err)
	}
	reclaim := corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		reclaim = *class.ReclaimPolicy
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedByAnnotation: provisionerName}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: reclaim,
			StorageClassName:              class.Name,
			VolumeMode:                    claim.Spec.VolumeMode,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity:                  onlyOn(node),
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
		},
	}
	if _, err := p.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("cannot create its volume: %w", err)
	}
	fmt.Printf("%s made %s for %s/%s on %s\n", time.Now().Format(time.RFC3339), name, claim.Namespace, claim.Name, node)
	return nil
}

func onlyOn(node string) *corev1.VolumeNodeAffinity {
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{
			Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		}},
	}}}}
}

// grow makes the volume and then the claim's status as large as the claim asks.
func (p *provisioner) grow(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	wanted := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	has, known := claim.Status.Capacity[corev1.ResourceStorage]
	if claim.Status.Phase != corev1.ClaimBound || !known || wanted.Cmp(has) <= 0 {
		return nil
	}
	volume, err := p.volumes.Get(claim.Spec.VolumeName)
	if err != nil || volume.Annotations[provisionedByAnnotation] != provisionerName {
		return err
	}
	if size := volume.Spec.Capacity[corev1.ResourceStorage]; size.Cmp(wanted) < 0 {
		larger := volume.DeepCopy()
		larger.Spec.Capacity[corev1.ResourceStorage] = wanted
		if _, err := p.client.CoreV1().PersistentVolumes().Update(ctx, larger, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("cannot grow its volume %s: %w", volume.Name, err)
		}
	}
	done := claim.DeepCopy()
	done.Status.Capacity[corev1.ResourceStorage] = wanted
	done.Status.Conditions = nil
	done.Status.AllocatedResources = nil
	done.Status.AllocatedResourceStatuses = nil
	if _, err := p.client.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(ctx, done, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("cannot report its new size: %w", err)
	}
	fmt.Printf("%s grew %s/%s from %s to %s\n", time.Now().Format(time.RFC3339), claim.Namespace, claim.Name, has.String(), wanted.String())
	return nil
}

// release deletes a volume whose claim is gone, with its directory, when its
// policy says so; a retained one stays for a person.
func (p *provisioner) release(ctx context.Context, volume *corev1.PersistentVolume) error {
	if volume.Annotations[provisionedByAnnotation] != provisionerName ||
		volume.Status.Phase != corev1.VolumeReleased || volume.DeletionTimestamp != nil ||
		volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
		return nil
	}
	path := filepath.Join(p.folder, volume.Name)
	if volume.Spec.Local == nil || volume.Spec.Local.Path != path || !strings.HasPrefix(volume.Name, "pvc-") {
		return fmt.Errorf("its path is not %s: it is left alone", path)
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("cannot delete its directory: %w", err)
	}
	err := p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(volume.UID))})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot delete it: %w", err)
	}
	fmt.Printf("%s deleted %s\n", time.Now().Format(time.RFC3339), volume.Name)
	return nil
}
