"""Applications that give TaskBridge an app, broker, connection or instance of their own."""
