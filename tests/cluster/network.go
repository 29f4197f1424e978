package main

import (
	"net"
)

var serviceRanges = []string{"10.96.0.0/16", "10.112.0.0/16", "172.22.0.0/16"}

type network struct {
	Pods     string `json:"pods"`
	Services string `json:"services"`
}

func (n *network) gateway(node int) net.IP { return nil }
func (n *network) addresses() []net.IP     { return nil }
