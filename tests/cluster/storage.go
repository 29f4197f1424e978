package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ensureStorageClasses makes the three classes: `standard` (the default) and
// `fast` grow, `fixed` does not.
func (c *cluster) ensureStorageClasses() error {
	client, err := c.admin()
	if err != nil {
		return err
	}
	binding := storagev1.VolumeBindingWaitForFirstConsumer
	reclaim := corev1.PersistentVolumeReclaimDelete
	for _, name := range []string{"standard", "fast", "fixed"} {
		expandable := name != "fixed"
		class := &storagev1.StorageClass{
			ObjectMeta:           metav1.ObjectMeta{Name: name},
			Provisioner:          provisionerName,
			ReclaimPolicy:        &reclaim,
			AllowVolumeExpansion: &expandable,
			VolumeBindingMode:    &binding,
		}
		if name == "standard" {
			class.Annotations = map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}
		}
		_, err := client.StorageV1().StorageClasses().Create(context.Background(), class, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("cannot create the storage class %s: %w", name, err)
		}
	}
	return nil
}
