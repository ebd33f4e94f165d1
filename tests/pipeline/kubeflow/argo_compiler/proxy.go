package main

// Since 2.5.0 the compiler asks for the server's proxy settings and panics without; before, there is no such package.
import "github.com/kubeflow/pipelines/backend/src/apiserver/config/proxy"

func init() {
	proxy.InitializeConfig("", "", "")
}
