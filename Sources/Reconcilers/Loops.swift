package import Client
package import ControlLoop
package import Logging
package import Seams

/// The loops that run here; what the composition root and the simulation start.
package enum Loops {
    package static func reconcilers(_ settings: LoopSettings) -> [any Reconciler] {
        [
            LandscapeReconciler(settings: settings), RolloutReconciler(), RouteReconciler(), DeploymentReconciler(),
            ReplicaSetReconciler(), StatefulSetReconciler(), DaemonSetReconciler(), JobReconciler(),
            CronJobReconciler(zones: settings.zones), ServiceReconciler(), PodReconciler(), ClaimReconciler(),
            VolumeReconciler(), EventReconciler(), NoReconciler(Kinds.workspace), NoReconciler(Kinds.managedService),
            NoReconciler(Kinds.previewDeployment),
        ]
    }

    /// The selected loops on one engine: one watch, one cache, one queue. `nil` where none is selected.
    package static func task(
        _ selection: LoopSelection, client: any Client, clock: any Clock, random: any RandomSource, logger: Logger,
        settings: LoopSettings
    ) -> (any Runnable)? {
        let reconcilers = reconcilers(settings).filter(selection.contains)
        if reconcilers.isEmpty { return nil }
        return EngineTask(client: client, clock: clock, random: random, logger: logger, reconcilers: reconcilers)
    }
}
