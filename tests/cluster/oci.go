package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// layer is an uncompressed tar in the making. Nothing in it depends on the
// clock, so the same files give the same image.
type layer struct {
	entries []tar.Header
	bodies  [][]byte
}

func (l *layer) add(header tar.Header, body []byte) {
	header.ModTime = time.Unix(0, 0)
	header.Format = tar.FormatPAX
	header.Size = int64(len(body))
	l.entries = append(l.entries, header)
	l.bodies = append(l.bodies, body)
}

func (l *layer) folder(path string, mode int64, uid, gid int) {
	l.add(tar.Header{Typeflag: tar.TypeDir, Name: path + "/", Mode: mode, Uid: uid, Gid: gid}, nil)
}

func (l *layer) file(path string, mode int64, body []byte) {
	l.add(tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: mode}, body)
}

func (l *layer) link(path, target string) {
	l.add(tar.Header{Typeflag: tar.TypeSymlink, Name: path, Linkname: target, Mode: 0o777}, nil)
}

func (l *layer) copyFile(path, source string) error {
	body, err := os.ReadFile(source)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", source, err)
	}
	for folder := filepath.Dir(path); folder != "."; folder = filepath.Dir(folder) {
		if !l.has(folder + "/") {
			l.folder(folder, 0o755, 0, 0)
		}
	}
	l.file(path, 0o755, body)
	return nil
}

func (l *layer) has(path string) bool {
	for _, entry := range l.entries {
		if entry.Name == path {
			return true
		}
	}
	return false
}

func (l *layer) bytes() ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for i := range l.entries {
		if err := writeEntry(writer, &l.entries[i], l.bodies[i]); err != nil {
			return nil, err
		}
	}
	err := writer.Close()
	return buffer.Bytes(), err
}

func writeEntry(writer *tar.Writer, header *tar.Header, body []byte) error {
	if err := writer.WriteHeader(header); err != nil {
		return fmt.Errorf("%s: %w", header.Name, err)
	}
	if _, err := writer.Write(body); err != nil {
		return fmt.Errorf("%s: %w", header.Name, err)
	}
	return nil
}

type image struct {
	references []string
	layer      layer
	config     imageConfig
}

// imageConfig is the part of the OCI image configuration that is used here:
// github.com/opencontainers/image-spec, config.md.
type imageConfig struct {
	Env          []string            `json:"Env,omitempty"`
	Entrypoint   []string            `json:"Entrypoint,omitempty"`
	Cmd          []string            `json:"Cmd,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	Volumes      map[string]struct{} `json:"Volumes,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// archiveWriter collects the blobs of an OCI layout.
type archiveWriter struct {
	layer layer
	seen  map[string]bool
}

func (a *archiveWriter) blob(mediaType string, body []byte) descriptor {
	digest := digestOf(body)
	if !a.seen[digest] {
		a.seen[digest] = true
		a.layer.file("blobs/sha256/"+strings.TrimPrefix(digest, "sha256:"), 0o644, body)
	}
	return descriptor{MediaType: mediaType, Digest: digest, Size: len(body)}
}

func (a *archiveWriter) json(mediaType string, value any) (descriptor, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, err
	}
	return a.blob(mediaType, text), nil
}

// ociArchive is a tar of an OCI layout that `ctr images import` reads; every
// reference becomes an image name of its own.
func ociArchive(images []image) ([]byte, error) {
	archive := archiveWriter{seen: map[string]bool{}}
	var index []descriptor
	for _, one := range images {
		manifest, err := archive.image(one)
		if err != nil {
			return nil, err
		}
		for _, reference := range one.references {
			manifest.Annotations = map[string]string{"io.containerd.image.name": reference}
			index = append(index, manifest)
		}
	}
	text, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": index})
	if err != nil {
		return nil, err
	}
	archive.layer.file("oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`))
	archive.layer.file("index.json", 0o644, text)
	return archive.layer.bytes()
}

func (a *archiveWriter) image(one image) (descriptor, error) {
	files, err := one.layer.bytes()
	if err != nil {
		return descriptor{}, err
	}
	one.config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	content := a.blob("application/vnd.oci.image.layer.v1.tar", files)
	config, err := a.json("application/vnd.oci.image.config.v1+json", map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       one.config,
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{content.Digest}},
	})
	if err != nil {
		return descriptor{}, err
	}
	return a.json("application/vnd.oci.image.manifest.v1+json", map[string]any{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.manifest.v1+json",
		"config":        config,
		"layers":        []descriptor{content},
	})
}
