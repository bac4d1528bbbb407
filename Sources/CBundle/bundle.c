#include "CBundle.h"

/* #embed is C23; clang takes it in any mode and would warn. Every file of crds/ and kinds/ stands here. */
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char crds_landscapes_yaml[] = {
#embed "../../crds/landscapes.yaml"
};
static const unsigned char crds_managedservices_yaml[] = {
#embed "../../crds/managedservices.yaml"
};
static const unsigned char crds_plans_yaml[] = {
#embed "../../crds/plans.yaml"
};
static const unsigned char crds_previewdeployments_yaml[] = {
#embed "../../crds/previewdeployments.yaml"
};
static const unsigned char crds_rollouts_yaml[] = {
#embed "../../crds/rollouts.yaml"
};
static const unsigned char crds_routes_yaml[] = {
#embed "../../crds/routes.yaml"
};
static const unsigned char crds_workspaces_yaml[] = {
#embed "../../crds/workspaces.yaml"
};
static const unsigned char kinds_bindings_yaml[] = {
#embed "kinds/bindings.yaml"
};
static const unsigned char kinds_clusterrolebindings_rbac_authorization_k8s_io_yaml[] = {
#embed "kinds/clusterrolebindings.rbac.authorization.k8s.io.yaml"
};
static const unsigned char kinds_clusterroles_rbac_authorization_k8s_io_yaml[] = {
#embed "kinds/clusterroles.rbac.authorization.k8s.io.yaml"
};
static const unsigned char kinds_componentstatuses_yaml[] = {
#embed "kinds/componentstatuses.yaml"
};
static const unsigned char kinds_configmaps_yaml[] = {
#embed "kinds/configmaps.yaml"
};
static const unsigned char kinds_controllerrevisions_apps_yaml[] = {
#embed "kinds/controllerrevisions.apps.yaml"
};
static const unsigned char kinds_cronjobs_batch_yaml[] = {
#embed "kinds/cronjobs.batch.yaml"
};
static const unsigned char kinds_customresourcedefinitions_apiextensions_k8s_io_yaml[] = {
#embed "kinds/customresourcedefinitions.apiextensions.k8s.io.yaml"
};
static const unsigned char kinds_daemonsets_apps_yaml[] = {
#embed "kinds/daemonsets.apps.yaml"
};
static const unsigned char kinds_deployments_apps_yaml[] = {
#embed "kinds/deployments.apps.yaml"
};
static const unsigned char kinds_endpoints_yaml[] = {
#embed "kinds/endpoints.yaml"
};
static const unsigned char kinds_endpointslices_discovery_k8s_io_yaml[] = {
#embed "kinds/endpointslices.discovery.k8s.io.yaml"
};
static const unsigned char kinds_events_events_k8s_io_yaml[] = {
#embed "kinds/events.events.k8s.io.yaml"
};
static const unsigned char kinds_events_yaml[] = {
#embed "kinds/events.yaml"
};
static const unsigned char kinds_gatewayclasses_gateway_networking_k8s_io_yaml[] = {
#embed "kinds/gatewayclasses.gateway.networking.k8s.io.yaml"
};
static const unsigned char kinds_gateways_gateway_networking_k8s_io_yaml[] = {
#embed "kinds/gateways.gateway.networking.k8s.io.yaml"
};
static const unsigned char kinds_horizontalpodautoscalers_autoscaling_yaml[] = {
#embed "kinds/horizontalpodautoscalers.autoscaling.yaml"
};
static const unsigned char kinds_httproutes_gateway_networking_k8s_io_yaml[] = {
#embed "kinds/httproutes.gateway.networking.k8s.io.yaml"
};
static const unsigned char kinds_ingressclasses_networking_k8s_io_yaml[] = {
#embed "kinds/ingressclasses.networking.k8s.io.yaml"
};
static const unsigned char kinds_ingresses_networking_k8s_io_yaml[] = {
#embed "kinds/ingresses.networking.k8s.io.yaml"
};
static const unsigned char kinds_jobs_batch_yaml[] = {
#embed "kinds/jobs.batch.yaml"
};
static const unsigned char kinds_leases_coordination_k8s_io_yaml[] = {
#embed "kinds/leases.coordination.k8s.io.yaml"
};
static const unsigned char kinds_limitranges_yaml[] = {
#embed "kinds/limitranges.yaml"
};
static const unsigned char kinds_namespaces_yaml[] = {
#embed "kinds/namespaces.yaml"
};
static const unsigned char kinds_networkpolicies_networking_k8s_io_yaml[] = {
#embed "kinds/networkpolicies.networking.k8s.io.yaml"
};
static const unsigned char kinds_nodes_yaml[] = {
#embed "kinds/nodes.yaml"
};
static const unsigned char kinds_persistentvolumeclaims_yaml[] = {
#embed "kinds/persistentvolumeclaims.yaml"
};
static const unsigned char kinds_persistentvolumes_yaml[] = {
#embed "kinds/persistentvolumes.yaml"
};
static const unsigned char kinds_poddisruptionbudgets_policy_yaml[] = {
#embed "kinds/poddisruptionbudgets.policy.yaml"
};
static const unsigned char kinds_pods_yaml[] = {
#embed "kinds/pods.yaml"
};
static const unsigned char kinds_podtemplates_yaml[] = {
#embed "kinds/podtemplates.yaml"
};
static const unsigned char kinds_priorityclasses_scheduling_k8s_io_yaml[] = {
#embed "kinds/priorityclasses.scheduling.k8s.io.yaml"
};
static const unsigned char kinds_referencegrants_gateway_networking_k8s_io_yaml[] = {
#embed "kinds/referencegrants.gateway.networking.k8s.io.yaml"
};
static const unsigned char kinds_replicasets_apps_yaml[] = {
#embed "kinds/replicasets.apps.yaml"
};
static const unsigned char kinds_replicationcontrollers_yaml[] = {
#embed "kinds/replicationcontrollers.yaml"
};
static const unsigned char kinds_resourcequotas_yaml[] = {
#embed "kinds/resourcequotas.yaml"
};
static const unsigned char kinds_rolebindings_rbac_authorization_k8s_io_yaml[] = {
#embed "kinds/rolebindings.rbac.authorization.k8s.io.yaml"
};
static const unsigned char kinds_roles_rbac_authorization_k8s_io_yaml[] = {
#embed "kinds/roles.rbac.authorization.k8s.io.yaml"
};
static const unsigned char kinds_runtimeclasses_node_k8s_io_yaml[] = {
#embed "kinds/runtimeclasses.node.k8s.io.yaml"
};
static const unsigned char kinds_secrets_yaml[] = {
#embed "kinds/secrets.yaml"
};
static const unsigned char kinds_serviceaccounts_yaml[] = {
#embed "kinds/serviceaccounts.yaml"
};
static const unsigned char kinds_services_yaml[] = {
#embed "kinds/services.yaml"
};
static const unsigned char kinds_shapes_yaml[] = {
#embed "kinds/shapes.yaml"
};
static const unsigned char kinds_statefulsets_apps_yaml[] = {
#embed "kinds/statefulsets.apps.yaml"
};
static const unsigned char kinds_storageclasses_storage_k8s_io_yaml[] = {
#embed "kinds/storageclasses.storage.k8s.io.yaml"
};
static const unsigned char protobuf_messages_txt[] = {
#embed "protobuf/messages.txt"
};

#define FILE_OF(name, bytes) {name, bytes, sizeof(bytes)}

const struct espalier_bundled_file espalier_bundled_files[] = {
    FILE_OF("crds/landscapes.yaml", crds_landscapes_yaml),
    FILE_OF("crds/managedservices.yaml", crds_managedservices_yaml),
    FILE_OF("crds/plans.yaml", crds_plans_yaml),
    FILE_OF("crds/previewdeployments.yaml", crds_previewdeployments_yaml),
    FILE_OF("crds/rollouts.yaml", crds_rollouts_yaml),
    FILE_OF("crds/routes.yaml", crds_routes_yaml),
    FILE_OF("crds/workspaces.yaml", crds_workspaces_yaml),
    FILE_OF("kinds/bindings.yaml", kinds_bindings_yaml),
    FILE_OF("kinds/clusterrolebindings.rbac.authorization.k8s.io.yaml", kinds_clusterrolebindings_rbac_authorization_k8s_io_yaml),
    FILE_OF("kinds/clusterroles.rbac.authorization.k8s.io.yaml", kinds_clusterroles_rbac_authorization_k8s_io_yaml),
    FILE_OF("kinds/componentstatuses.yaml", kinds_componentstatuses_yaml),
    FILE_OF("kinds/configmaps.yaml", kinds_configmaps_yaml),
    FILE_OF("kinds/controllerrevisions.apps.yaml", kinds_controllerrevisions_apps_yaml),
    FILE_OF("kinds/cronjobs.batch.yaml", kinds_cronjobs_batch_yaml),
    FILE_OF("kinds/customresourcedefinitions.apiextensions.k8s.io.yaml", kinds_customresourcedefinitions_apiextensions_k8s_io_yaml),
    FILE_OF("kinds/daemonsets.apps.yaml", kinds_daemonsets_apps_yaml),
    FILE_OF("kinds/deployments.apps.yaml", kinds_deployments_apps_yaml),
    FILE_OF("kinds/endpoints.yaml", kinds_endpoints_yaml),
    FILE_OF("kinds/endpointslices.discovery.k8s.io.yaml", kinds_endpointslices_discovery_k8s_io_yaml),
    FILE_OF("kinds/events.events.k8s.io.yaml", kinds_events_events_k8s_io_yaml),
    FILE_OF("kinds/events.yaml", kinds_events_yaml),
    FILE_OF("kinds/gatewayclasses.gateway.networking.k8s.io.yaml", kinds_gatewayclasses_gateway_networking_k8s_io_yaml),
    FILE_OF("kinds/gateways.gateway.networking.k8s.io.yaml", kinds_gateways_gateway_networking_k8s_io_yaml),
    FILE_OF("kinds/horizontalpodautoscalers.autoscaling.yaml", kinds_horizontalpodautoscalers_autoscaling_yaml),
    FILE_OF("kinds/httproutes.gateway.networking.k8s.io.yaml", kinds_httproutes_gateway_networking_k8s_io_yaml),
    FILE_OF("kinds/ingressclasses.networking.k8s.io.yaml", kinds_ingressclasses_networking_k8s_io_yaml),
    FILE_OF("kinds/ingresses.networking.k8s.io.yaml", kinds_ingresses_networking_k8s_io_yaml),
    FILE_OF("kinds/jobs.batch.yaml", kinds_jobs_batch_yaml),
    FILE_OF("kinds/leases.coordination.k8s.io.yaml", kinds_leases_coordination_k8s_io_yaml),
    FILE_OF("kinds/limitranges.yaml", kinds_limitranges_yaml),
    FILE_OF("kinds/namespaces.yaml", kinds_namespaces_yaml),
    FILE_OF("kinds/networkpolicies.networking.k8s.io.yaml", kinds_networkpolicies_networking_k8s_io_yaml),
    FILE_OF("kinds/nodes.yaml", kinds_nodes_yaml),
    FILE_OF("kinds/persistentvolumeclaims.yaml", kinds_persistentvolumeclaims_yaml),
    FILE_OF("kinds/persistentvolumes.yaml", kinds_persistentvolumes_yaml),
    FILE_OF("kinds/poddisruptionbudgets.policy.yaml", kinds_poddisruptionbudgets_policy_yaml),
    FILE_OF("kinds/pods.yaml", kinds_pods_yaml),
    FILE_OF("kinds/podtemplates.yaml", kinds_podtemplates_yaml),
    FILE_OF("kinds/priorityclasses.scheduling.k8s.io.yaml", kinds_priorityclasses_scheduling_k8s_io_yaml),
    FILE_OF("kinds/referencegrants.gateway.networking.k8s.io.yaml", kinds_referencegrants_gateway_networking_k8s_io_yaml),
    FILE_OF("kinds/replicasets.apps.yaml", kinds_replicasets_apps_yaml),
    FILE_OF("kinds/replicationcontrollers.yaml", kinds_replicationcontrollers_yaml),
    FILE_OF("kinds/resourcequotas.yaml", kinds_resourcequotas_yaml),
    FILE_OF("kinds/rolebindings.rbac.authorization.k8s.io.yaml", kinds_rolebindings_rbac_authorization_k8s_io_yaml),
    FILE_OF("kinds/roles.rbac.authorization.k8s.io.yaml", kinds_roles_rbac_authorization_k8s_io_yaml),
    FILE_OF("kinds/runtimeclasses.node.k8s.io.yaml", kinds_runtimeclasses_node_k8s_io_yaml),
    FILE_OF("kinds/secrets.yaml", kinds_secrets_yaml),
    FILE_OF("kinds/serviceaccounts.yaml", kinds_serviceaccounts_yaml),
    FILE_OF("kinds/services.yaml", kinds_services_yaml),
    FILE_OF("kinds/shapes.yaml", kinds_shapes_yaml),
    FILE_OF("kinds/statefulsets.apps.yaml", kinds_statefulsets_apps_yaml),
    FILE_OF("kinds/storageclasses.storage.k8s.io.yaml", kinds_storageclasses_storage_k8s_io_yaml),
};
const size_t espalier_bundled_file_count = sizeof(espalier_bundled_files) / sizeof(espalier_bundled_files[0]);

const struct espalier_bundled_file espalier_protobuf_messages = FILE_OF("protobuf/messages.txt", protobuf_messages_txt);

const struct espalier_bundled_file *espalier_bundled_file_at(size_t index) {
    return index < espalier_bundled_file_count ? &espalier_bundled_files[index] : NULL;
}
