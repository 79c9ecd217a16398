package main

import "github.com/twmb/franz-go/pkg/kmsg"

// Neither broker has an authorizer.

func describeAcls(kind kmsg.ACLResourceType, operation kmsg.ACLOperation) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		request := kmsg.NewPtrDescribeACLsRequest()
		request.Version = v
		request.ResourceType, request.ResourcePatternType = kind, kmsg.ACLResourcePatternTypeAny
		request.Operation, request.PermissionType = operation, kmsg.ACLPermissionTypeAny
		return b.show(request)
	}
}

var describeAclsProbes = []probe{
	{"any", describeAcls(kmsg.ACLResourceTypeAny, kmsg.ACLOperationAny)},
	{"topics", describeAcls(kmsg.ACLResourceTypeTopic, kmsg.ACLOperationRead)},
}

func creatingAcls(names ...string) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		request := kmsg.NewPtrCreateACLsRequest()
		request.Version = v
		for _, name := range names {
			row := kmsg.NewCreateACLsRequestCreation()
			row.ResourceType, row.ResourceName = kmsg.ACLResourceTypeTopic, name
			row.ResourcePatternType = kmsg.ACLResourcePatternTypeLiteral
			row.Principal, row.Host = "User:prober", "*"
			row.Operation, row.PermissionType = kmsg.ACLOperationRead, kmsg.ACLPermissionTypeAllow
			request.Creations = append(request.Creations, row)
		}
		return b.show(request)
	}
}

var createAclsProbes = []probe{
	{"one", creatingAcls("probe.first")},
	{"two", creatingAcls("probe.first", "probe.second")},
	{"none", creatingAcls()},
}

func deletingAcls(names ...string) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		request := kmsg.NewPtrDeleteACLsRequest()
		request.Version = v
		for _, name := range names {
			row := kmsg.NewDeleteACLsRequestFilter()
			row.ResourceType, row.ResourceName = kmsg.ACLResourceTypeTopic, pointer(name)
			row.ResourcePatternType = kmsg.ACLResourcePatternTypeAny
			row.Operation, row.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
			request.Filters = append(request.Filters, row)
		}
		return b.show(request)
	}
}

var deleteAclsProbes = []probe{
	{"one", deletingAcls("probe.first")},
	{"two", deletingAcls("probe.first", "probe.second")},
	{"none", deletingAcls()},
}
