import type { Architecture } from './architectures.js';
import type { Settings } from './settings.js';

/** What transformers takes when the config.json of a Mistral model has no sliding_window at all. */
const mistralWindow = 4096;

/**
 * Positions a token can look back on, itself included, or null for all of them.
 * Throws EM1008 when layers differ from each other or from what the architecture does.
 */
export function readAttentionWindow(
  config: Settings,
  architecture: Architecture,
  layers: number,
): number | null {
  const window = configuredWindow(config, architecture);
  const sliding = slidingLayers(config, architecture, layers, window !== null);
  if (sliding === 0) return null;
  if (sliding < layers) {
    const key = config.has('layer_types') ? 'layer_types' : 'max_window_layers';
    throw config.unsupported(key, 'the same attention in all layers');
  }
  return window;
}

function configuredWindow(config: Settings, architecture: Architecture): number | null {
  const read = () => config.integer('sliding_window', 1, Number.MAX_SAFE_INTEGER);
  switch (architecture.window) {
    case 'none':
      if (config.has('sliding_window'))
        throw config.unsupported('sliding_window', `null for ${architecture.name}`);
      return null;
    case 'all-layers':
      if (config.get('sliding_window') === undefined) return mistralWindow;
      return config.has('sliding_window') ? read() : null;
    case 'opt-in':
      return config.boolean('use_sliding_window') === true ? read() : null;
  }
}

function slidingLayers(
  config: Settings,
  architecture: Architecture,
  layers: number,
  windowed: boolean,
): number {
  const types = config.get('layer_types');
  if (types === undefined || types === null) {
    if (!windowed) return 0;
    if (architecture.window === 'all-layers') return layers;
    return Math.max(0, layers - config.integer('max_window_layers', 0, Number.MAX_SAFE_INTEGER));
  }
  if (!Array.isArray(types) || types.length !== layers) {
    throw config.unusable('layer_types', `a list of ${layers} layer types`);
  }
  const sliding = types.filter((type) => type === 'sliding_attention').length;
  const full = types.filter((type) => type === 'full_attention').length;
  const contradictory = windowed ? architecture.window === 'all-layers' && full > 0 : sliding > 0;
  if (sliding + full !== layers || contradictory) {
    throw config.unsupported(
      'layer_types',
      `${layers} times ${windowed ? 'sliding_attention' : 'full_attention'}`,
    );
  }
  return sliding;
}
