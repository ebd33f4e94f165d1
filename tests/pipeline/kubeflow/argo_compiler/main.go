// Turns a compiled pipeline spec into an Argo Workflow with Kubeflow Pipelines' own compiler, and prints it.
//
// Run by tests/pipeline/kubeflow/test_argo_compiler.py: main SPEC.yaml PLATFORM.yaml
package main

import (
	"fmt"
	"os"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"github.com/kubeflow/pipelines/backend/src/v2/compiler/argocompiler"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"sigs.k8s.io/yaml"
)

func read(path string, message proto.Message) {
	text, err := os.ReadFile(path)
	check(err)
	json, err := yaml.YAMLToJSON(text)
	check(err)
	check(protojson.Unmarshal(json, message))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	spec, platform := &structpb.Struct{}, &pipelinespec.PlatformSpec{}
	read(os.Args[1], spec)
	read(os.Args[2], platform)
	job := &pipelinespec.PipelineJob{PipelineSpec: spec}
	workflow, err := argocompiler.Compile(job, platform.Platforms["kubernetes"], nil)
	check(err)
	text, err := yaml.Marshal(workflow)
	check(err)
	fmt.Print(string(text))
}
