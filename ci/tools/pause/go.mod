// What holds a pod's network while its containers come and go. Built by ci/cluster-tools.
module fairlead.dev/ci/tools/pause

go 1.26
