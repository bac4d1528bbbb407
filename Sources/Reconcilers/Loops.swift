package import Client
package import ControlLoop
package import Logging
package import Seams

/// The loops that run here; what the composition root and the simulation start.
package enum Loops {
    package static func reconcilers(_ settings: LoopSettings) -> [any Reconciler] {
        [
            LandscapeReconciler(settings: settings), RolloutReconciler(), RouteReconciler(), DeploymentReconciler(),
            ReplicaSetReconciler(), ServiceReconciler(), EventReconciler(), NoReconciler(Kinds.workspace),
            NoReconciler(Kinds.managedService), NoReconciler(Kinds.previewDeployment),
        ]
    }

    /// Every loop, on one engine: one watch, one cache, one queue.
    package static func all(
        client: any Client, clock: any Clock, logger: Logger, settings: LoopSettings
    ) -> [any Runnable] {
        [EngineTask(client: client, clock: clock, logger: logger, reconcilers: reconcilers(settings))]
    }
}
